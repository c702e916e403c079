"""Delayed frames in, samples out: the codec's decoder over a window with exactly the context it depends on.

Re-decoding that window costs the same for every frame and gives the samples of the offline decode.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int

from parlando.audio.tempo import StreamTempo
from parlando.core.types import Frame, Prompt
from parlando.models.higgs.parts.codec import Codec
from parlando.models.higgs.parts.delay import Undelay
from parlando.models.higgs.parts.spectral_inference import PackedDecoder


class HiggsDecoder:
    """Opens wave streams over one codec (a `core.stages.WaveDecoder`).

    A light codec on a processor is packed for the compiled kernel, where there is one and unless ``compiled`` is false.
    """

    def __init__(self, codec: Codec, compiled: bool = True) -> None:
        self._codec = codec
        self._packed = PackedDecoder(codec) if compiled and PackedDecoder.fits(codec) else None
        self.sample_rate = codec.sample_rate
        self.samples_per_frame = codec.samples_per_frame

    def open(self, prompt: Prompt, speed: float = 1.0) -> HiggsWaveStream:
        """A stream for the audio that follows a prompt; the codec needs nothing of the prompt itself."""
        return HiggsWaveStream(self._codec, speed, self._packed)


class HiggsWaveStream:
    """One request's frames in, samples out (a `core.stages.WaveStream`); several clips are decoded apart and joined.

    State: the delayed frames still incomplete, and the clip's whole frames from the first that is still needed.
    """

    def __init__(self, codec: Codec, speed: float = 1.0, packed: PackedDecoder | None = None) -> None:
        self._codec, self._packed = codec, packed
        self._tempo = StreamTempo(codec.sample_rate, speed)
        self._undelay = Undelay(codec.num_codebooks, codec.codebook_size, codec.codebook_size + 1)
        self._window = self._no_frames()
        self._emitted = 0
        self._inside = 0
        self._closed = False

    def push(self, frames: Sequence[Frame], final: bool) -> np.ndarray:
        """Samples (float32 [n]) that no later frame can change; after ``final`` everything is ignored.

        Raises:
            IndexError: a code outside the codebook, which a sampler must never make.
        """
        if self._closed:
            return _silence()
        self._closed = final
        delayed = [frame.codes for frame in frames if frame.codes]
        self._inside += len(delayed)
        self._check(delayed)
        pieces, whole = [_silence()], []
        for codes in delayed:
            inside_clip = not self._undelay.ended
            completed = self._undelay.push(codes)
            if completed is not None:
                whole.append(completed)
            elif inside_clip and self._undelay.ended:
                pieces.append(self._advance(whole, complete=True))
                whole = []
        pieces.append(self._advance(whole, complete=final))
        samples = self._tempo.feed(np.concatenate(pieces))
        return np.concatenate((samples, self._tempo.close())) if final else samples

    def frames_until(self, sounding: int) -> int:
        """How many more must come before so many more sound: the pattern's delay, and what the codec looks at."""
        held_back = self._codec.num_codebooks + self._codec.future_frames
        late = math.ceil(self._tempo.late_samples / self._codec.samples_per_frame)
        return sounding + late + held_back - self._inside

    def _advance(self, whole: list[np.ndarray], complete: bool) -> np.ndarray:
        """Add whole frames [codebook] to the clip and hand out what is final, all of it when the clip is complete."""
        if whole:
            self._window = np.concatenate([self._window, np.stack(whole, axis=1)], axis=1)
        ready = self._window.shape[1] - (0 if complete else self._codec.future_frames)
        samples = self._emit(ready) if ready > self._emitted else _silence()
        if complete:
            self._window, self._emitted, self._inside = self._no_frames(), 0, 0
        return samples

    def _emit(self, ready: int) -> np.ndarray:
        """Decode the window, hand out its frames ``emitted..ready`` and keep the context of the next ones."""
        self._inside -= ready - self._emitted
        fresh = self._decoded(self._emitted, ready)
        dropped = max(0, ready - self._codec.past_frames)
        self._window = self._window[:, dropped:]
        self._emitted = ready - dropped
        return fresh

    def _decoded(self, start: int, stop: int) -> np.ndarray:
        """Samples of the window's frames ``start..stop``."""
        if self._packed is not None:
            return self._packed.decode(torch.from_numpy(self._window), start, stop).numpy()
        per_frame = self._codec.samples_per_frame
        return decode_codes(self._codec, self._window)[start * per_frame : stop * per_frame].copy()

    def _no_frames(self) -> np.ndarray:
        return np.zeros((self._codec.num_codebooks, 0), dtype=np.int64)

    def _check(self, delayed: Sequence[Sequence[int]]) -> None:
        highest = self._codec.codebook_size + 1
        wrong = [codes for codes in delayed if not 0 <= min(codes) <= max(codes) <= highest]
        if wrong:
            raise IndexError(f"codes {wrong[0]} are not within 0..{highest} (codes, begin and end of stream)")


@torch.inference_mode()
def decode_codes(codec: Codec, codes: Int[np.ndarray, "codebook frame"]) -> np.ndarray:
    """Samples (float32 [n]) of one clip's codes, on whatever device the codec is."""
    if codes.shape[1] == 0:
        return _silence()
    device = next(codec.parameters()).device
    batch = torch.from_numpy(np.ascontiguousarray(codes))[None].to(device)
    return codec.decode(batch)[0].float().cpu().numpy()


def _silence() -> np.ndarray:
    return np.zeros(0, dtype=np.float32)
