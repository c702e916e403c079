"""The light codec: log-mel frames in, residual codes between, an inverse STFT out; made to train and run on a CPU.

Every convolution is three neighbouring frames side by side into one matrix product, which is the shape that
CPUs with matrix units and GPUs both like; its reach is finite on both sides, so streaming is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.audio.mel import MelConfig, MelSpectrogram
from parlando.core.config import AtLeastOne, Count, Size, Whole
from parlando.nn.istft import SpectrumHead
from parlando.nn.rvq import ResidualVectorQuantizer


@dataclass(frozen=True)
class SpectralCodecConfig:
    """Sizes of the light codec: ``stride`` analysis frames make one code frame, dims are channels, blocks counts.

    With ``content_dim`` the first codebook has a space of its own, for content alone.
    """

    kind: Literal["spectral"] = "spectral"
    sample_rate: Size = 24_000
    fft_samples: Size = 1024
    hop_samples: Size = 240
    num_bands: Size = 100
    stride: Size = 4
    num_codebooks: AtLeastOne = 4
    codebook_size: Size = 512
    content_dim: Whole = 0
    latent_dim: Size = 128
    fine_dim: Size = 256
    coarse_dim: Size = 384
    hidden_dim: Size = 512
    encoder_fine_blocks: Count = 2
    encoder_coarse_blocks: Count = 4
    decoder_coarse_blocks: Count = 3
    decoder_fine_blocks: Count = 6
    mel_after_blocks: Count = 2


class NeighbourBlock(nn.Module):
    """Residual block whose first layer sees the previous, the current and the next frame."""

    def __init__(self, dim: int, hidden_dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(3 * dim, hidden_dim)
        self.narrow = nn.Linear(hidden_dim, dim)

    def forward(self, x: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """Same shape; reach is one frame each side, zeros beyond the ends."""
        padded = functional.pad(self.norm(x), (0, 0, 1, 1))
        neighbours = torch.cat((padded[:, :-2], padded[:, 1:-1], padded[:, 2:]), dim=-1)
        return x + self.narrow(functional.gelu(self.widen(neighbours)))


def _stack(count: int, dim: int, hidden_dim: int) -> nn.Sequential:
    return nn.Sequential(*(NeighbourBlock(dim, hidden_dim) for _ in range(count)))


class SpectralEncoder(nn.Module):
    """Log-mel frames to latent frames, ``stride`` of the former to one of the latter."""

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        self.stride = config.stride
        self.enter = nn.Linear(config.num_bands, config.fine_dim)
        self.fine = _stack(config.encoder_fine_blocks, config.fine_dim, config.hidden_dim)
        self.merge = nn.Linear(config.stride * config.fine_dim, config.coarse_dim)
        self.coarse = _stack(config.encoder_coarse_blocks, config.coarse_dim, config.hidden_dim)
        self.leave = nn.Sequential(nn.LayerNorm(config.coarse_dim), nn.Linear(config.coarse_dim, config.latent_dim))

    def forward(self, mel: Float[Tensor, "batch fine band"]) -> Float[Tensor, "batch frame latent"]:
        """Latent frames; the number of mel frames must be a multiple of the stride."""
        fine = self.fine(self.enter(mel))
        merged = self.merge(fine.unflatten(1, (-1, self.stride)).flatten(2))
        return self.leave(self.coarse(merged))


class SpectralDecoder(nn.Module):
    """Latent frames to samples, with log-mel frames predicted half-way as a training aid."""

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        self.stride, early = config.stride, config.mel_after_blocks
        self.enter = nn.Linear(config.latent_dim, config.coarse_dim)
        self.coarse = _stack(config.decoder_coarse_blocks, config.coarse_dim, config.hidden_dim)
        self.split = nn.Linear(config.coarse_dim, config.stride * config.fine_dim)
        self.early = _stack(early, config.fine_dim, config.hidden_dim)
        self.mel = nn.Linear(config.fine_dim, config.num_bands)
        self.late = _stack(config.decoder_fine_blocks - early, config.fine_dim, config.hidden_dim)
        self.norm = nn.LayerNorm(config.fine_dim)
        self.head = SpectrumHead(config.fine_dim, config.fft_samples, config.hop_samples)

    def forward(
        self, latent: Float[Tensor, "batch frame latent"]
    ) -> tuple[Float[Tensor, "batch sample"], Float[Tensor, "batch fine band"]]:
        """Samples and the half-way log-mel frames."""
        early, mel = self.halfway(latent)
        return self.head(self.norm(self.late(early))), mel

    def halfway(
        self, latent: Float[Tensor, "batch frame latent"]
    ) -> tuple[Float[Tensor, "batch fine dim"], Float[Tensor, "batch fine band"]]:
        """Hidden frames before the waveform's own blocks, and the log-mel frames they predict."""
        coarse = self.split(self.coarse(self.enter(latent)))
        early = self.early(coarse.unflatten(2, (self.stride, -1)).flatten(1, 2))
        return early, self.mel(early)


class SpectralCodec(nn.Module):
    """Mel encoder, residual vector quantiser, spectral decoder (after Vocos, Siuzdak, 2023)."""

    def __init__(self, config: SpectralCodecConfig) -> None:
        super().__init__()
        self.config = config
        mel = MelConfig(config.sample_rate, config.fft_samples, config.hop_samples, config.num_bands)
        self.mel = MelSpectrogram(mel)
        self.encoder = SpectralEncoder(config)
        self.quantizer = ResidualVectorQuantizer(
            config.latent_dim, config.latent_dim, config.codebook_size, config.num_codebooks, config.content_dim
        )
        self.decoder = SpectralDecoder(config)

    @property
    def sample_rate(self) -> int:
        """Samples per second, in and out."""
        return self.config.sample_rate

    @property
    def samples_per_frame(self) -> int:
        """Samples that one code frame stands for."""
        return self.config.hop_samples * self.config.stride

    @property
    def num_codebooks(self) -> int:
        """Codes per frame."""
        return self.config.num_codebooks

    @property
    def codebook_size(self) -> int:
        """Codewords per codebook."""
        return self.config.codebook_size

    @property
    def past_frames(self) -> int:
        """Code frames before a frame that its samples depend on."""
        fine = self.config.decoder_fine_blocks + self.decoder.head.istft.reach_frames
        return self.config.decoder_coarse_blocks + -(-fine // self.config.stride)

    @property
    def future_frames(self) -> int:
        """Code frames after a frame that its samples depend on; the decoder is symmetric."""
        return self.past_frames

    def analyse(self, wave: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch fine band"]:
        """Log-mel frames of a wave padded with zeros to whole code frames."""
        short = -wave.shape[1] % self.samples_per_frame
        return self.mel(functional.pad(wave, (0, short)))

    @torch.inference_mode()
    def encode(self, wave: Float[Tensor, "batch sample"]) -> Int[Tensor, "batch codebook frame"]:
        """Codes of a batch of equal lengths; the last frame is completed with silence."""
        return self.quantizer.encode(self.encoder(self.analyse(wave)))

    @torch.inference_mode()
    def decode(self, codes: Int[Tensor, "batch codebook frame"]) -> Float[Tensor, "batch sample"]:
        """Samples, ``samples_per_frame`` for each code frame."""
        return self.decoder(self.quantizer.decode(codes))[0]
