from __future__ import annotations

import pytest

from parlando.core.errors import ConfigError, FileMissingError
from parlando.evaluate.judges import registry
from parlando.evaluate.judges.pairwise import AudioModelJudge, FigureJudge
from parlando.evaluate.judges.transcription import TranscriptionService


def test_every_name_has_a_maker():
    makers = [registry._maker(entry) for entries in registry.KINDS.values() for entry in entries.values()]
    assert len(makers) == len(set(makers)) == 12


def test_a_url_is_a_service_with_its_model():
    judge = registry.asr("http://127.0.0.1:1#large", "key")
    assert isinstance(judge, TranscriptionService)
    assert judge.card.name == "large"
    assert registry.asr("http://127.0.0.1:1").card.name == "whisper-1"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("wisper", r"no asr judge named 'wisper'; there are: whisper, .* Did you mean 'whisper'\?"),
        ("pocketsphinx:x", "takes nothing behind a colon, got 'x'"),
    ],
)
def test_a_judge_that_is_not_known_is_refused(spec, message):
    with pytest.raises(ConfigError, match=message):
        registry.asr(spec)


def test_a_judge_that_needs_a_file_asks_for_it(tmp_path):
    with pytest.raises(ConfigError, match=r"needs its file: wavlm:wavlm_large_finetune\.pth"):
        registry.speaker_encoder("wavlm")
    with pytest.raises(FileMissingError):
        registry.speaker_encoder(f"wavlm:{tmp_path}/x.pth")
    assert "wavlm_large_finetune.pth" in registry.why_missing("speaker", "wavlm")


def test_what_is_here_has_nothing_missing():
    assert registry.why_missing("asr", "pocketsphinx") == ""


def test_pairs_are_judged_by_a_model_or_by_figures():
    words, marks = object(), object()
    assert isinstance(registry.pair_judge("http://h#m", None, None, None), AudioModelJudge)
    with pytest.raises(ConfigError, match="write http://h#model"):
        registry.pair_judge("http://h", None, None, None)
    with pytest.raises(ConfigError, match="give URL#model, or figures"):
        registry.pair_judge("ears", None, None, None)
    with pytest.raises(ConfigError, match="needs --asr and --mos"):
        registry.pair_judge("figures", None, words, None)
    with pytest.raises(AttributeError):  # it asks both for their cards
        registry.pair_judge("figures", None, words, marks)
    assert FigureJudge.compare is not AudioModelJudge.compare
