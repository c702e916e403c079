from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from parlando.core.errors import MissingDependencyError
from parlando.core.types import SamplingOptions
from parlando.evaluate.speed import bench
from parlando.evaluate.speed.bench import (
    Load,
    bench_markdown,
    measure,
    measure_stream,
    random_prompt,
    run_bench,
)
from parlando.evaluate.speed.engine_load import EngineGenerator
from parlando.evaluate.speed.peer import TransformersPeer
from parlando.models.higgs.config import LMConfig
from parlando.result import Chunk

CONFIG = LMConfig(
    vocab_size=40,
    hidden_size=16,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    intermediate_size=24,
    num_codebooks=3,
    codebook_size=8,
    context_length=64,
    audio_out_id=1,
    audio_out_bos_id=2,
    eot_id=3,
    end_of_text_id=4,
    audio_in_id=5,
)
SHORT = Load(batches=(1, 3), shortest=9, longest=15, rounds=2, prompt_tokens=6, repeats=1)


class FakeSynthesizer:
    """Ten chunks of 800 samples."""

    sample_rate = 8000
    model = SimpleNamespace(name="tiny", frame_rate=25.0, lm=SimpleNamespace(config=CONFIG))

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


@pytest.mark.parametrize("batch", [1, 3])
def test_the_engine_makes_every_frame_whatever_the_weights_say(batch):
    torch.manual_seed(0)
    generator = EngineGenerator(CONFIG, SamplingOptions(temperature=1.5, top_k=None, top_p=None))
    assert generator.generate(random_prompt(CONFIG, 6), batch, [40, 3, 9, 20]) == 72


def test_the_peer_makes_every_frame_too():
    pytest.importorskip("transformers")
    torch.manual_seed(0)
    peer = TransformersPeer(CONFIG, SamplingOptions(temperature=1.5, top_k=None, top_p=None))
    assert peer.generate(random_prompt(CONFIG, 6), 2, [40, 3, 9]) == 52


def test_the_peer_is_as_large_as_ours():
    pytest.importorskip("transformers")
    ours, peer = EngineGenerator(CONFIG, SamplingOptions()), TransformersPeer(CONFIG, SamplingOptions())
    count = sum(p.numel() for p in peer._model.parameters())
    text_head = CONFIG.vocab_size * CONFIG.hidden_size
    assert sum(p.numel() for p in ours._lm._lm.parameters()) - text_head == count


def test_speed_is_frames_over_seconds(monkeypatch):
    clock = iter(float(i) for i in range(100))
    monkeypatch.setattr(bench.time, "perf_counter", lambda: next(clock))
    fake = SimpleNamespace(name="fake", generate=lambda tokens, batch, lengths: sum(lengths))
    ((first, second),) = measure([fake], CONFIG, SHORT)
    assert (first.batch, first.frames_per_second, first.tokens_per_second) == (1, 24.0, 72.0)
    assert (second.batch, second.frames_per_second) == (3, 6 * 12.0)


def test_generators_take_turns_on_the_same_requests():
    asked = []

    def generator(name):
        return SimpleNamespace(name=name, generate=lambda *request: asked.append((name, request[2])) or sum(request[2]))

    measure([generator("a"), generator("b")], CONFIG, SHORT)
    assert [name for name, _ in asked] == ["a", "b"] * 4
    warm, timed = asked[4:6], asked[6:]
    assert timed[0][1] == timed[1][1]
    assert sorted(timed[0][1]) == [9, 10, 11, 13, 14, 15]
    assert timed[0][1] != sorted(timed[0][1])
    assert [max(lengths) for _, lengths in warm] == [15, 15]


def test_a_generator_that_stops_early_is_not_measured():
    fake = SimpleNamespace(name="lazy", generate=lambda tokens, batch, frames: 1)
    with pytest.raises(AssertionError, match="lazy made 1 frames instead of 24"):
        measure([fake], CONFIG, SHORT)


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
    assert "| steps               | PyTorch" in text, "a head of eight is too small for the kernel"
    assert text.count(" × |") == 4
    assert "(0.36–0.6 s each, float32)" in text
    assert "(0.48 s each, float32)" in text


def test_without_the_peer_the_report_says_why(monkeypatch):
    def missing(config, sampling, dtype):
        raise MissingDependencyError("transformers", "pip install transformers")

    missing.name = "transformers"
    monkeypatch.setattr(bench, "TransformersPeer", missing)
    report = run_bench(FakeSynthesizer, SHORT)
    assert report.peer == report.ratios == ()
    assert "'transformers' is needed" in bench_markdown(report)
    assert run_bench(FakeSynthesizer, SHORT, with_peer=False).note == "transformers was left out"
