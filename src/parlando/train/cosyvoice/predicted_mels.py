"""Mels as a flow makes them of a corpus's codes: what its vocoder will have to make sound of.

A vocoder that learns from these next to recordings' own mels knows their faults (Tacotron 2: Shen et al., 2018).
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from tqdm import tqdm

from parlando.core.errors import FileMissingError
from parlando.data.shards import Entry
from parlando.data.tokens import EncodedUtterance
from parlando.models.cosyvoice.parts.features import flow_mel_config
from parlando.models.cosyvoice.parts.flow import Flow
from parlando.train.cosyvoice.flow_examples import FlowSampler

INDEX, MELS = "index.jsonl", "mels.f16"
_VALIDATION = 48
_PROMPT_TOKENS = 75


@dataclass(frozen=True)
class PredictedMel:
    """Where the mel of an utterance lies: frames from ``start``."""

    id: str
    start: int
    frames: int


class PredictedMels:
    """Read access to a folder that `predict_mels` wrote.

    Raises:
        FileMissingError: it is no such folder, or was not finished.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for file in (folder / INDEX, folder / MELS):
            if not file.is_file():
                raise FileMissingError(file, "mels of a flow (parlando data mels)")
        with (folder / INDEX).open(encoding="utf-8") as lines:
            made = [PredictedMel(**json.loads(line)) for line in lines]
        self._made = {each.id: each for each in made}
        self._mels = np.memmap(folder / MELS, dtype=np.float16, mode="r").reshape(-1, flow_mel_config().num_bands)

    def __contains__(self, entry: Entry) -> bool:
        return entry.id in self._made

    def mel(self, entry: Entry) -> Float[np.ndarray, "frame bin"]:
        """The mel of an utterance (float32, natural log)."""
        made = self._made[entry.id]
        return self._mels[made.start : made.start + made.frames].astype(np.float32)


def predict_mels(sampler: FlowSampler, flow: Flow, out: Path, hours: float, batch: int = 8, seed: int = 0) -> float:
    """Write the mels that a flow makes of the codes that ``sampler`` shows; returns how many hours they are.

    Utterances are drawn as for training, each after a prompt of its voice, as in use; a few held-out ones are added.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / INDEX).unlink(missing_ok=True)
    chosen = _chosen(sampler, hours, np.random.default_rng(seed))
    generator, lines, frames = np.random.default_rng(seed + 1), [], 0
    with (out / MELS).open("wb") as file, tqdm(total=len(chosen), unit="clip", desc="mels") as bar:
        for first in range(0, len(chosen), batch):
            several = chosen[first : first + batch]
            for spoken, mel in zip(several, _mels(sampler, flow, several, generator), strict=True):
                file.write(mel.T.contiguous().cpu().numpy().astype(np.float16).tobytes())
                lines.append(json.dumps(asdict(PredictedMel(spoken.id, frames, mel.shape[1]))))
                frames += mel.shape[1]
            bar.update(len(several))
    partial = out / f"{INDEX}.partial"
    partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    os.replace(partial, out / INDEX)
    mel_config = flow_mel_config()
    return frames * mel_config.hop_samples / mel_config.sample_rate / 3600


def _chosen(sampler: FlowSampler, hours: float, generator: np.random.Generator) -> list[EncodedUtterance]:
    """Utterances at their own speed, each once, those of about one length together."""
    plain = [spoken for spoken in sampler.train if spoken.speed == 1.0]
    weights = np.array([sampler.weight(spoken) for spoken in plain], dtype=float)
    # The largest of such numbers are draws without replacement by weight (Efraimidis and Spirakis, 2006).
    order = np.argsort(-(generator.random(len(plain)) ** (1 / weights)))
    rate = sampler.corpus.config.sample_rate / sampler.corpus.config.frame_samples
    reached = np.cumsum([plain[place].frames for place in order]) / rate / 3600
    wanted = order[: int(np.searchsorted(reached, hours)) + 1]
    held_out = [spoken for spoken in sampler.validation if spoken.speed == 1.0][:_VALIDATION]
    return sorted([*(plain[place] for place in wanted), *held_out], key=lambda spoken: spoken.frames)


@torch.inference_mode()
def _mels(
    sampler: FlowSampler, flow: Flow, several: Sequence[EncodedUtterance], generator: np.random.Generator
) -> list[Float[torch.Tensor, "bin _"]]:
    requests = []
    for spoken in several:
        prompt = sampler.prompt(spoken, generator).first(_PROMPT_TOKENS, flow.config.encoder.frames_per_token)
        requests.append((prompt, sampler.said(spoken, generator).tolist()))
    return flow.eval().synthesise(requests)
