"""What a corpus is encoded with: a speech tokenizer as `train.encode.Encoder`, a speaker encoder as `Embedder`."""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from parlando.audio.resample import sinc_resample
from parlando.models.cosyvoice.build import load_published_encoders
from parlando.models.cosyvoice.parts.campplus import CampPlus
from parlando.models.cosyvoice.parts.part_weights import (
    SPEAKER_FILE,
    SPEECH_TOKENIZER_FILE,
    load_speaker,
    load_speech_tokenizer,
)
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer
from parlando.models.locate import is_own_layout
from parlando.train.cosyvoice.start import read_config

LONGEST_SECONDS = 3.0  # more tells little more, and costs as much more


class TokenizerEncoder(nn.Module):
    """A speech tokenizer as an `Encoder` with one codebook; clips of any length, by windows."""

    num_codebooks = 1

    def __init__(self, tokenizer: SpeechTokenizer, sample_rate: int) -> None:
        super().__init__()
        self.tokenizer, self.sample_rate = tokenizer.eval(), sample_rate

    @property
    def codebook_size(self) -> int:
        """The quantiser's number of codes."""
        return self.tokenizer.quantizer.num_codes

    @torch.no_grad()
    def encode(self, wave: Float[Tensor, "batch sample"]) -> Int[Tensor, "batch 1 frame"]:
        """Codes of clips at ``sample_rate``."""
        heard = sinc_resample(wave, self.sample_rate, self.tokenizer.config.mel.sample_rate)
        return torch.stack(self.tokenizer.encode(list(heard)))[:, None]


class SpeakerEmbedder(nn.Module):
    """A speaker encoder as an `Embedder`; of a longer clip it hears the middle ``longest_seconds``."""

    def __init__(self, encoder: CampPlus, sample_rate: int, longest_seconds: float = LONGEST_SECONDS) -> None:
        super().__init__()
        self.encoder, self.sample_rate = encoder.eval(), sample_rate
        self.longest_samples = round(longest_seconds * sample_rate)

    @property
    def dim(self) -> int:
        """Size of an embedding."""
        return self.encoder.config.embedding_size

    @torch.no_grad()
    def embed(self, wave: Float[Tensor, " sample"]) -> Float[Tensor, " dim"]:
        """The embedding of a clip at ``sample_rate``.

        Raises:
            AudioError: the clip is silent or too short.
        """
        first = max(0, len(wave) - self.longest_samples) // 2
        heard = wave[None, first : first + self.longest_samples]
        return self.encoder.embed(sinc_resample(heard, self.sample_rate, self.encoder.config.fbank.sample_rate)[0])


def find_encoder(folder: Path, sample_rate: int) -> TokenizerEncoder | None:
    """The speech tokenizer in a folder, if there is one, for a corpus at ``sample_rate``.

    Raises:
        CheckpointError: the tensors do not fit the config.
    """
    if not (folder / SPEECH_TOKENIZER_FILE).is_file():
        return None
    config = read_config(folder).speech_tokenizer if is_own_layout(folder) else None
    return TokenizerEncoder(load_speech_tokenizer(folder, config), sample_rate)


def find_embedder(folder: Path, sample_rate: int, longest_seconds: float = LONGEST_SECONDS) -> SpeakerEmbedder | None:
    """The speaker encoder in a folder, if there is one, for a corpus at ``sample_rate``.

    Raises:
        CheckpointError: the tensors do not fit the config.
    """
    if not (folder / SPEAKER_FILE).is_file():
        return None
    config = read_config(folder).speaker if is_own_layout(folder) else None
    return SpeakerEmbedder(load_speaker(folder, config), sample_rate, longest_seconds)


def model_encoders(folder: Path, sample_rate: int) -> tuple[TokenizerEncoder, SpeakerEmbedder]:
    """Both of a model, in our own layout or the published one, for a corpus at ``sample_rate``.

    Raises:
        FileMissingError, ConfigError, CheckpointError: the folder holds no model, or a damaged one.
    """
    if is_own_layout(folder):
        config = read_config(folder)
        tokenizer = load_speech_tokenizer(folder, config.speech_tokenizer)
        speaker = load_speaker(folder, config.speaker)
    else:
        tokenizer, speaker = load_published_encoders(folder)
    return TokenizerEncoder(tokenizer, sample_rate), SpeakerEmbedder(speaker, sample_rate)
