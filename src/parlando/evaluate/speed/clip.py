"""What it costs to follow a clip, for the first sentence and for those after it, at the sizes of a CosyVoice model."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import numpy as np
import torch

from parlando.core.stages import TokenLM
from parlando.core.types import Frame, Reference, SamplingOptions, Voice
from parlando.engine.engine import Engine
from parlando.evaluate.report import markdown_table
from parlando.evaluate.speed.contender import Load, as_loaded
from parlando.evaluate.speed.cosyvoice import ENDLESS_TEXT, plainly
from parlando.evaluate.speed.machine import describe_machine
from parlando.evaluate.speed.published import LANGUAGE_MODELS
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.decoder import CosyVoiceDecoder
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig
from parlando.models.cosyvoice.prompt import SpeechPrompt
from parlando.models.cosyvoice.sampler import CosyVoiceSampler
from parlando.models.cosyvoice.voices import MEL, SPEAKER


@dataclass(frozen=True)
class ClipLoad:
    """Sentences of so many tokens of text in the voice of a clip, one after the other."""

    seconds: float = 10.0
    sentences: int = 3
    text_tokens: int = 20
    lm: LMConfig = field(default_factory=LANGUAGE_MODELS["cosyvoice2"])
    flow: FlowConfig = field(default_factory=FlowConfig)
    hift: HiFTConfig = field(default_factory=HiFTConfig)
    load: Load = field(default_factory=Load)

    @property
    def tokens(self) -> int:
        """Of speech, in the clip."""
        per_token = self.flow.encoder.frames_per_token * self.hift.samples_per_frame
        return round(self.seconds * self.hift.source.sample_rate / per_token)


@dataclass(frozen=True)
class ClipReport:
    """Seconds from a sentence's submission to its first samples: the first one's, and the fastest of the others."""

    clip_seconds: float
    first_seconds: float
    again_seconds: float
    machine: str

    @property
    def ratio(self) -> float:
        """What another sentence takes, as a share of the first."""
        return self.again_seconds / self.first_seconds


def run_clip_bench(work: ClipLoad) -> ClipReport:
    """The language model, the flow and the vocoder with random weights, as a synthesizer uses them."""
    config, draws = plainly(work.lm), np.random.default_rng(0)
    lm = CosyVoiceTokenLM(as_loaded(partial(CosyVoiceLM, config), work.load), static=work.load.on_cuda)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        decoder = CosyVoiceDecoder(Flow(work.flow).eval(), HiFT(work.hift).prepare())
    codes = draws.integers(0, work.flow.vocab_size, (1, work.tokens))
    mel = draws.standard_normal((work.tokens * work.flow.encoder.frames_per_token, work.flow.mel_bins))
    features = {MEL: mel.astype(np.float32), SPEAKER: draws.standard_normal(work.flow.speaker_dim).astype(np.float32)}
    voice = Voice("clip", references=(Reference("", codes, features),))
    text = draws.integers(0, config.vocab_size, work.text_tokens).tolist()
    tokens = (config.sos_id, *text, config.task_id, *[config.speech_id] * work.tokens)
    is_speech = np.arange(len(tokens)) >= work.text_tokens + 2
    prompt = SpeechPrompt(tokens, is_speech, codes.T, text_tokens=ENDLESS_TEXT, voice=voice)
    with Engine(cast("TokenLM", lm), 1, min(2 * len(tokens) + 256, config.context_length)) as engine:
        taken = [_first_audio_seconds(engine, prompt, config, decoder, seed) for seed in range(work.sentences)]
    return ClipReport(
        work.seconds, taken[0], min(taken[1:]), f"{describe_machine()}, {torch.get_num_threads()} threads"
    )


def _first_audio_seconds(
    engine: Engine, prompt: SpeechPrompt, config: LMConfig, decoder: CosyVoiceDecoder, seed: int
) -> float:
    started = time.perf_counter()
    frames: list[Frame] = []
    with engine.submit(prompt, CosyVoiceSampler(config, prompt, SamplingOptions(seed=seed))) as session:
        stream = decoder.open(prompt)
        wanted = stream.frames_until(1)
        for frame in session:
            frames.append(frame)
            if len(frames) >= wanted:
                break
    assert len(stream.push(frames, final=False)), "enough frames make a sound"
    return time.perf_counter() - started


def clip_markdown(report: ClipReport) -> str:
    """The two figures and their ratio."""
    rows = [
        ("the first sentence", f"{report.first_seconds:.2f} s"),
        ("the next one", f"{report.again_seconds:.2f} s ({report.ratio:.2f} ×)"),
    ]
    table = markdown_table((f"in the voice of a clip of {report.clip_seconds:g} s", "first sound after"), rows)
    return f"{table}\n\n{report.machine}"
