"""Speech tokens in, samples out: flow and vocoder one behind the other, each with its own explicit state."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from parlando.core.errors import AudioError
from parlando.core.types import Frame, Prompt, Voice
from parlando.models.cosyvoice.parts.flow import Flow, FlowPrompt, FlowState
from parlando.models.cosyvoice.parts.hift import HiFT
from parlando.models.cosyvoice.parts.opened import OpenedPrompts
from parlando.models.cosyvoice.prompt import SpeechPrompt
from parlando.models.cosyvoice.voices import MEL, SPEAKER
from parlando.nn.tempo import FrameTempo

NOISE_SEED = 0


class CosyVoiceDecoder:
    """Opens wave streams over one flow and one vocoder (a `core.stages.WaveDecoder`)."""

    def __init__(self, flow: Flow, hift: HiFT) -> None:
        self._flow, self._hift = flow, hift
        self._opened = OpenedPrompts(flow.open)
        self.sample_rate = hift.config.source.sample_rate
        self.samples_per_frame = flow.config.encoder.frames_per_token * hift.config.samples_per_frame

    def open(self, prompt: Prompt, speed: float = 1.0) -> CosyVoiceWaveStream:
        """A stream for the audio that follows a prompt, in the sound of its voice.

        Raises:
            AudioError: the voice has no clip and no speaker embedding, or those of another model.
        """
        if not isinstance(prompt, SpeechPrompt) or prompt.voice is None:
            raise AudioError("this prompt has no voice; build it with the model's own prompt builder")
        return self.open_voice(prompt.voice, speed)

    def open_voice(self, voice: Voice, speed: float = 1.0) -> CosyVoiceWaveStream:
        """A stream in the sound of a voice; errors as for `open`."""
        mel_state = self._opened.open(flow_prompt(voice, self._flow))
        return CosyVoiceWaveStream(self._flow, self._hift, mel_state, speed)


class CosyVoiceWaveStream:
    """One request's frames in, samples out (a `core.stages.WaveStream`); frames without a code are text, and silent.

    State: the flow's and the vocoder's own, and the mel frames that a change of tempo still needs. The work for a frame
    does not grow with its position, but for attention to what came before.
    """

    def __init__(self, flow: Flow, hift: HiFT, mel_state: FlowState, speed: float = 1.0) -> None:
        self._flow, self._hift = flow, hift
        self._mel_state = mel_state
        self._wave_state = hift.open([NOISE_SEED])
        self._tempo = FrameTempo(speed)
        self._speed, self._samples = speed, 0

    @torch.inference_mode()
    def push(self, frames: Sequence[Frame], final: bool) -> np.ndarray:
        """Samples (float32 [n]) that no later frame can change; after ``final`` everything is ignored.

        Raises:
            IndexError: a code outside the vocabulary, which a sampler must never make.
        """
        if self._wave_state.ended:
            return np.zeros(0, dtype=np.float32)
        mel = self._flow.push(self._mel_state, [frame.codes[0] for frame in frames if frame.codes], final)
        mel = self._tempo.push(mel, final)
        samples, self._wave_state = self._hift.push(mel, self._wave_state, final)
        self._samples += samples.shape[1]
        return samples[0].float().cpu().numpy()

    def frames_until(self, sounding: int) -> int:
        """How many more frames must come before so many more sound: the flow makes whole chunks of them."""
        per_mel = self._hift.config.samples_per_frame
        per_frame = self._flow.config.encoder.frames_per_token * per_mel / self._speed
        wanted_samples = self._samples + sounding * per_frame + self._hift.late_samples
        return self._flow.tokens_until(self._mel_state, self._tempo.needed(math.ceil(wanted_samples / per_mel)))


def flow_prompt(voice: Voice, flow: Flow) -> FlowPrompt:
    """What the flow continues for a voice: its clips one after the other, and their mean speaker embedding.

    Raises:
        AudioError: the voice has none of that.
    """
    clips = [reference for reference in voice.references if SPEAKER in reference.features]
    if not clips:
        raise AudioError(f"voice '{voice.name}' has no sound of its own for this model; clone it from a recording")
    bins = flow.config.mel_bins
    codes = [torch.from_numpy(clip.codes[0].astype(np.int64)) for clip in clips]
    mels = [torch.from_numpy(clip.features.get(MEL, np.zeros((0, bins), np.float32))) for clip in clips]
    speakers = [torch.from_numpy(clip.features[SPEAKER]) for clip in clips]
    device = flow.encoder.after_norm.weight.device
    speaker = torch.nn.functional.normalize(torch.stack(speakers).float(), dim=1).mean(0)
    parts = (torch.cat(codes), torch.cat(mels).float(), speaker)
    return FlowPrompt(*(part.to(device) for part in parts)).trimmed(flow.config.encoder.frames_per_token)
