from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.core.types import SamplingOptions
from parlando.evaluate.speed import bench, cosyvoice, higgs
from parlando.evaluate.speed.bench import bench_markdown, measure, measure_stream, run_bench
from parlando.evaluate.speed.contender import Load, contenders
from parlando.evaluate.speed.higgs import random_prompt
from parlando.evaluate.speed.machine import peak_memory_mib
from parlando.models.cosyvoice.config import LMConfig as CosyVoiceConfig
from parlando.models.higgs.config import LMConfig
from parlando.result import Chunk

CONFIG = LMConfig(
    vocab_size=40,
    hidden_size=16,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    intermediate_size=20,
    num_codebooks=3,
    codebook_size=8,
    context_length=64,
    audio_out_id=1,
    audio_out_bos_id=2,
    eot_id=3,
    end_of_text_id=4,
    audio_in_id=5,
)
COSY = CosyVoiceConfig(
    vocab_size=40,
    hidden_size=16,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    intermediate_size=24,
    codebook_size=27,
    context_length=128,
)
SHORT = Load(batches=(1, 3), shortest=9, longest=15, rounds=2, prompt_tokens=6, repeats=1)


class FakeSynthesizer:
    """Ten chunks of 800 samples."""

    sample_rate = 8000
    model = SimpleNamespace(name="tiny", family="higgs", frame_rate=25.0, lm=SimpleNamespace(config=CONFIG))

    def stream(self, text: str, *, seed: int) -> Iterator[Chunk]:
        yield from (Chunk(np.zeros(0 if i == 0 else 800, np.float32), self.sample_rate) for i in range(11))

    def close(self) -> None:
        pass


def test_prompt_is_ordinary_text_that_opens_an_answer():
    tokens = random_prompt(CONFIG, 50)
    assert len(tokens) == 50
    assert tokens[-1] == CONFIG.audio_out_bos_id
    assert not {1, 2, 3, 4, 5} & set(tokens[:-1])
    assert tokens == random_prompt(CONFIG, 50)


WILD = Load(prompt_tokens=6, sampling=SamplingOptions(temperature=1.5, top_k=None, top_p=None))
FAMILIES = [pytest.param(higgs, CONFIG, id="higgs"), pytest.param(cosyvoice, COSY, id="cosyvoice")]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("family", "config"), FAMILIES)
def test_the_engine_makes_every_frame_whatever_the_weights_say(family, config, batch):
    torch.manual_seed(0)
    assert family.ours(config, WILD).generate(batch, [40, 3, 9, 20]) == 72


@pytest.mark.parametrize(("family", "config"), FAMILIES)
def test_the_peer_makes_every_frame_too(family, config):
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    assert family.peer(config, WILD).generate(2, [40, 3, 9]) == 52


def test_the_peer_is_as_large_as_ours():
    pytest.importorskip("transformers")
    ours, peer = higgs.ours(CONFIG, WILD), higgs.peer(CONFIG, WILD)
    count = sum(p.numel() for p in peer._model.parameters())
    text_head = CONFIG.vocab_size * CONFIG.hidden_size
    assert sum(p.numel() for p in ours._lm._lm.parameters()) - text_head == count


def test_the_other_peer_has_the_same_layers():
    pytest.importorskip("transformers")
    ours, peer = cosyvoice.ours(COSY, WILD), cosyvoice.peer(COSY, WILD)
    assert sum(p.numel() for p in ours._lm._lm.layers.parameters()) == sum(
        p.numel() for p in peer._model.model.layers.parameters()
    )


def test_a_family_without_a_benchmark_is_told():
    with pytest.raises(ConfigError, match="no benchmark of the family 'unknown'"):
        contenders("unknown", CONFIG, SHORT, True)


def test_speed_is_frames_over_seconds(monkeypatch):
    clock = iter(float(i) for i in range(100))
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    fake = SimpleNamespace(name="fake", tokens_per_frame=3, generate=lambda batch, lengths: sum(lengths))
    ((first, second),) = measure([fake], SHORT)
    assert (first.batch, first.frames_per_second, first.tokens_per_second) == (1, 24.0, 72.0)
    assert (second.batch, second.frames_per_second) == (3, 6 * 12.0)


def test_generators_take_turns_on_the_same_requests():
    asked = []

    def generator(name):
        def generate(batch, lengths):
            asked.append((name, lengths))
            return sum(lengths)

        return SimpleNamespace(name=name, tokens_per_frame=1, generate=generate)

    measure([generator("a"), generator("b")], SHORT)
    assert [name for name, _ in asked] == ["a", "b"] * 4
    warm, timed = asked[4:6], asked[6:]
    assert timed[0][1] == timed[1][1]
    assert sorted(timed[0][1]) == [9, 10, 11, 13, 14, 15]
    assert timed[0][1] != sorted(timed[0][1])
    assert [max(lengths) for _, lengths in warm] == [15, 15]


def test_a_generator_that_stops_early_is_not_measured():
    fake = SimpleNamespace(name="lazy", tokens_per_frame=1, generate=lambda batch, frames: 1)
    with pytest.raises(AssertionError, match="lazy made 1 frames instead of 24"):
        measure([fake], SHORT)


def test_first_audio_is_the_first_chunk_with_samples():
    synthesizer, figures = measure_stream(FakeSynthesizer, repeats=2)
    assert synthesizer.sample_rate == 8000
    assert figures.audio_seconds == 1.0
    assert 0 < figures.first_audio_seconds <= figures.real_time_factor


def test_peak_memory_is_that_of_a_process_with_torch():
    assert 50 < peak_memory_mib() < 50_000


def test_report_has_ours_and_the_peer_side_by_side():
    pytest.importorskip("transformers")
    report = run_bench(FakeSynthesizer, SHORT)
    assert [t.batch for t in report.ours] == [t.batch for t in report.peer] == [1, 3]
    assert report.ratios[0] == report.ours[0].frames_per_second / report.peer[0].frames_per_second
    text = bench_markdown(report)
    assert "transformers tokens/s" in text
    assert "| steps               | PyTorch" in text, "an inner layer of twenty fits no processor's registers"
    assert text.count(" × |") == 4
    assert "(0.36–0.6 s each, float32)" in text
    assert "(0.48 s each, float32)" in text


def test_without_the_peer_the_report_says_why(monkeypatch):
    def missing(config, load):
        raise MissingDependencyError("transformers", "pip install transformers")

    monkeypatch.setattr(higgs, "peer", missing)
    report = run_bench(FakeSynthesizer, SHORT)
    assert report.peer == report.ratios == ()
    assert "'transformers' is needed" in bench_markdown(report)
    assert run_bench(FakeSynthesizer, SHORT, with_peer=False).note == "transformers was left out"


def test_the_other_family_is_measured_by_the_same_code():
    pytest.importorskip("transformers")

    class Other(FakeSynthesizer):
        model = SimpleNamespace(name="cosy", family="cosyvoice", frame_rate=25.0, lm=SimpleNamespace(config=COSY))

    report = run_bench(Other, SHORT)
    assert len(report.ratios) == 2
    assert report.ours[0].tokens_per_second == report.ours[0].frames_per_second
