"""Voice transfer: a small network that says with one speaker's codes what another said, phone by phone.

It sees whose voice is wanted, and of the source only phones, their times and the shape of the pitch: all it can say is
said in the wanted voice. It is a tool of training, for a voice that has too few recordings to learn to speak from.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.data.shards import PHONES, UNKNOWN_PHONE
from parlando.models.higgs.parts.spectral import NeighbourBlock


@dataclass(frozen=True)
class VoiceTransferConfig:
    """Sizes; labels and pitch values per code frame must be those of the corpus."""

    speakers: tuple[str, ...]
    num_codebooks: int
    codebook_size: int
    labels_per_frame: int = 2
    points_per_frame: int = 4
    dim: int = 320
    hidden_dim: int = 768
    blocks: int = 8
    phone_dim: int = 96
    dropout: float = 0.1


class VoiceTransferNet(nn.Module):
    """Frames at once in time, one codebook after the other in depth (RQ-Transformer's order, Lee et al., 2022)."""

    def __init__(self, config: VoiceTransferConfig) -> None:
        super().__init__()
        self.config = config
        self.phones = nn.Embedding(len(PHONES) + 1, config.phone_dim)
        self.speakers = nn.Embedding(len(config.speakers), config.dim)
        self.enter = nn.Linear(config.labels_per_frame * config.phone_dim + 2 * config.points_per_frame, config.dim)
        self.blocks = nn.ModuleList(NeighbourBlock(config.dim, config.hidden_dim) for _ in range(config.blocks))
        self.dropout = nn.Dropout(config.dropout)
        self.heads = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(config.dim), nn.Linear(config.dim, config.codebook_size))
            for _ in range(config.num_codebooks)
        )
        self.mixers = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(config.dim),
                nn.Linear(config.dim, config.hidden_dim),
                nn.GELU(),
                nn.Linear(config.hidden_dim, config.dim),
            )
            for _ in range(config.num_codebooks)
        )
        self.codes = nn.ModuleList(
            nn.Embedding(config.codebook_size, config.dim) for _ in range(config.num_codebooks - 1)
        )

    def _trunk(
        self,
        phones: Int[Tensor, "batch frame label"],
        contour: Float[Tensor, "batch frame value"],
        speakers: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch frame dim"]:
        known = torch.where(phones == UNKNOWN_PHONE, len(PHONES), phones)
        x = self.enter(torch.cat((self.phones(known).flatten(2), contour), dim=-1))
        speaker = self.speakers(speakers)[:, None]
        for block in self.blocks:
            x = self.dropout(block(x + speaker))
        return x

    def forward(
        self,
        phones: Int[Tensor, "batch frame label"],
        contour: Float[Tensor, "batch frame value"],
        speakers: Int[Tensor, " batch"],
        codes: Int[Tensor, "batch codebook frame"],
    ) -> Float[Tensor, "batch codebook frame code"]:
        """Logits of each codebook, given the frame's true codes before it."""
        x, logits = self._trunk(phones, contour, speakers), []
        for depth, head in enumerate(self.heads):
            x = x + self.mixers[depth](x)
            logits.append(head(x))
            if depth < len(self.codes):
                x = x + self.codes[depth](codes[:, depth])
        return torch.stack(logits, dim=1)

    @torch.no_grad()
    def say(
        self,
        phones: Int[Tensor, "batch frame label"],
        contour: Float[Tensor, "batch frame value"],
        speakers: Int[Tensor, " batch"],
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Int[Tensor, "batch codebook frame"]:
        """The likeliest content, and the codes of its sound drawn at a temperature; at 0 the likeliest too.

        The likeliest sounds change too little from frame to frame: who learns from them learns to get stuck.
        """
        x, drawn = self._trunk(phones, contour, speakers), []
        for depth, head in enumerate(self.heads):
            x = x + self.mixers[depth](x)
            drawn.append(_draw(head(x), temperature if depth else 0.0, generator))
            if depth < len(self.codes):
                x = x + self.codes[depth](drawn[-1])
        return torch.stack(drawn, dim=1)


def _draw(
    logits: Float[Tensor, "batch frame code"], temperature: float, generator: torch.Generator | None
) -> Int[Tensor, "batch frame"]:
    if temperature <= 0:
        return logits.argmax(-1)
    # On the host, where the generator is, so that a seed says the same on every device.
    chances = functional.softmax(logits.float() / temperature, dim=-1).cpu()
    return torch.multinomial(chances.flatten(0, 1), 1, generator=generator).view(logits.shape[:2]).to(logits.device)
