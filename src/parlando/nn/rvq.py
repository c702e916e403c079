"""Residual vector quantisation with moving-average codebooks (SoundStream, Zeghidour et al., 2021)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, distributed, nn

from parlando.core.config import Share

DECAY, EPSILON, DEAD_SHARE = 0.98, 1e-5, 0.3


@dataclass(frozen=True)
class CodebookLearning:
    """How codewords follow their vectors: by a moving average that keeps ``decay`` of itself in every batch.

    A codeword that is chosen less often than ``dead_share`` of a fair share is put on a vector of the batch.
    """

    decay: Share = DECAY
    dead_share: Share = DEAD_SHARE


def _sum_over_processes(tensor: Tensor) -> Tensor:
    if distributed.is_initialized():
        distributed.all_reduce(tensor)
    return tensor


def _as_in_first_process(tensor: Tensor) -> Tensor:
    if distributed.is_initialized():
        distributed.broadcast(tensor, 0)
    return tensor


class Codebook(nn.Module):
    """Codewords with the running statistics that train them; all buffers, none a parameter.

    In a group of processes all learn from everybody's vectors and so keep the same codewords.
    """

    embed: Tensor
    embed_avg: Tensor
    cluster_size: Tensor
    inited: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.learning = CodebookLearning()
        self.register_buffer("inited", torch.zeros(1))
        self.register_buffer("cluster_size", torch.zeros(size))
        self.register_buffer("embed", torch.zeros(size, dim))
        self.register_buffer("embed_avg", torch.zeros(size, dim))

    def nearest(self, vectors: Float[Tensor, "vector dim"]) -> Int[Tensor, " vector"]:
        """Index of the closest codeword by Euclidean distance; the first one wins a tie."""
        table = self.embed.t()
        distance = vectors.pow(2).sum(1, keepdim=True) - 2 * vectors @ table + table.pow(2).sum(0, keepdim=True)
        return (-distance).max(dim=-1).indices

    @torch.no_grad()
    def start(self, vectors: Float[Tensor, "vector dim"], rounds: int = 20) -> None:
        """Place the codewords by k-means on a first batch."""
        size = self.embed.shape[0]
        self.embed.copy_(self._some(vectors, size))
        for _ in range(rounds):
            sums, counts = self._tally(vectors, self.nearest(vectors))
            self.embed.copy_(torch.where((counts > 0)[:, None], sums / counts.clamp_min(1)[:, None], self.embed))
        self.cluster_size.fill_(float(self._tally(vectors, self.nearest(vectors))[1].sum()) / size)
        self.embed_avg.copy_(self.embed * self.cluster_size[:, None])
        self.inited.fill_(1)

    def _tally(
        self, vectors: Float[Tensor, "vector dim"], codes: Int[Tensor, " vector"]
    ) -> tuple[Float[Tensor, "code dim"], Float[Tensor, " code"]]:
        sums = torch.zeros_like(self.embed).index_add_(0, codes, vectors)
        counts = torch.bincount(codes, minlength=self.embed.shape[0]).to(vectors.dtype)
        return _sum_over_processes(sums), _sum_over_processes(counts)

    @staticmethod
    def _some(vectors: Float[Tensor, "vector dim"], count: int) -> Float[Tensor, "chosen dim"]:
        return _as_in_first_process(vectors[torch.randint(len(vectors), (count,), device=vectors.device)])

    @torch.no_grad()
    def learn(self, vectors: Float[Tensor, "vector dim"], codes: Int[Tensor, " vector"]) -> None:
        """Move codewords towards their vectors' running mean; a dead one is put on a random vector."""
        sums, counts = self._tally(vectors, codes)
        self.cluster_size.lerp_(counts, 1 - self.learning.decay)
        self.embed_avg.lerp_(sums, 1 - self.learning.decay)
        total, size = self.cluster_size.sum(), len(self.cluster_size)
        smoothed = (self.cluster_size + EPSILON) / (total + size * EPSILON) * total
        self.embed.copy_(self.embed_avg / smoothed[:, None])
        fair = float(counts.sum()) / size
        self._revive(self.cluster_size < self.learning.dead_share * fair, fair, vectors)

    def _revive(self, dead: Bool[Tensor, " code"], fair: float, vectors: Float[Tensor, "vector dim"]) -> None:
        count = int(dead.sum())
        if count:
            chosen = self._some(vectors, count)
            self.embed[dead], self.cluster_size[dead] = chosen, fair
            self.embed_avg[dead] = chosen * fair


class Quantizer(nn.Module):
    """One stage: into the codebook's space, to the nearest codeword, and back."""

    def __init__(self, dim: int, codebook_dim: int, codebook_size: int) -> None:
        super().__init__()
        same = dim == codebook_dim
        self.project_in: nn.Module = nn.Identity() if same else nn.Linear(dim, codebook_dim)
        self.project_out: nn.Module = nn.Identity() if same else nn.Linear(codebook_dim, dim)
        self.codebook = Codebook(codebook_size, codebook_dim)

    def encode(self, x: Float[Tensor, "batch frame dim"]) -> Int[Tensor, "batch frame"]:
        """Codes of a residual."""
        return self.codebook.nearest(self.project_in(x).flatten(0, 1)).view(x.shape[:2])

    def decode(self, codes: Int[Tensor, "batch frame"]) -> Float[Tensor, "batch frame dim"]:
        """What the codes stand for."""
        return self.project_out(self.codebook.embed[codes])

    def forward(
        self, x: Float[Tensor, "batch frame dim"]
    ) -> tuple[Float[Tensor, "batch frame inside"], Int[Tensor, "batch frame"], Float[Tensor, ""]]:
        """Straight-through codewords, codes and commitment loss; in training mode the codebook learns.

        `project_out` takes the codewords back to the residual's space.
        """
        inside = self.project_in(x)
        flat = inside.detach().flatten(0, 1).float()
        if self.training and not bool(self.codebook.inited):
            self.codebook.start(flat)
        codes = self.codebook.nearest(flat)
        chosen = self.codebook.embed[codes].view_as(inside)
        loss = (inside - chosen.detach()).square().mean()
        if self.training:
            self.codebook.learn(flat, codes)
        return inside + (chosen - inside).detach(), codes.view(x.shape[:2]), loss


class ResidualVectorQuantizer(nn.Module):
    """Stages that each quantise what the ones before left over.

    With ``content_dim`` the first stage has a space of its own that size, and what is rebuilt from the codes teaches
    it nothing: only losses on the content that `forward` returns shape it, so it can be made to hold what is said
    and not who says it (compare the supervised tokens of CosyVoice, Du et al., 2024).
    """

    def __init__(
        self, dim: int, codebook_dim: int, codebook_size: int, num_codebooks: int, content_dim: int = 0
    ) -> None:
        super().__init__()
        self.content_dim = content_dim
        dims = [content_dim or codebook_dim] + [codebook_dim] * (num_codebooks - 1)
        self.quantizers = nn.ModuleList(Quantizer(dim, inside, codebook_size) for inside in dims)

    @property
    def stages(self) -> Iterable[Quantizer]:
        """The quantisers in order."""
        return cast("Iterable[Quantizer]", self.quantizers)

    def learn_by(self, learning: CodebookLearning) -> None:
        """Have the codebooks of all stages learn so in training mode."""
        for stage in self.stages:
            stage.codebook.learning = learning

    def encode(self, x: Float[Tensor, "batch frame dim"]) -> Int[Tensor, "batch codebook frame"]:
        """Codes of every stage."""
        codes = []
        for quantizer in self.stages:
            codes.append(quantizer.encode(x))
            x = x - quantizer.decode(codes[-1])
        return torch.stack(codes, dim=1)

    def decode(self, codes: Int[Tensor, "batch codebook frame"]) -> Float[Tensor, "batch frame dim"]:
        """Sum of the stages' codewords; fewer codebooks than stages are allowed."""
        stages = zip(self.stages, codes.unbind(1), strict=False)
        return sum((quantizer.decode(stage) for quantizer, stage in stages), torch.zeros((), device=codes.device))

    def forward(
        self, x: Float[Tensor, "batch frame dim"], used: Int[Tensor, " batch"]
    ) -> tuple[
        Float[Tensor, "batch frame dim"],
        Float[Tensor, "batch frame content"],
        Int[Tensor, "batch codebook frame"],
        Float[Tensor, ""],
    ]:
        """Training pass with quantiser dropout: item b is the sum of its first ``used[b]`` stages.

        Returns the sum, the content (see `content`) after the first stage, the codes of all stages, and the mean
        commitment loss.
        """
        total, residual = torch.zeros_like(x), x
        content, codes, losses = x, [], []
        for index, quantizer in enumerate(self.stages):
            inside, stage, loss = quantizer(residual)
            if index == 0:
                content = inside if self.content_dim else quantizer.project_out(inside)
            part = quantizer.project_out(inside.detach() if self.content_dim and index == 0 else inside)
            total = total + part * (index < used)[:, None, None]
            residual = residual - part.detach()
            codes.append(stage)
            losses.append(loss)
        return total, content, torch.stack(codes, dim=1), torch.stack(losses).mean()

    def stages_used(self, batch: int, dropout: float, device: torch.device | str = "cpu") -> Int[Tensor, " batch"]:
        """How many stages each item of a batch uses: all, but of a share ``dropout`` of them only the first few."""
        stages = len(self.quantizers)
        drop = torch.rand(batch, device=device) < dropout
        return torch.where(drop, torch.randint(1, max(2, stages), (batch,), device=device), stages)

    def content(self, x: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame content"]:
        """What the first stage sees of a latent before it is quantised; without ``content_dim`` the latent itself."""
        return next(iter(self.stages)).project_in(x) if self.content_dim else x

    def content_of(self, codes: Int[Tensor, "batch frame"]) -> Float[Tensor, "batch frame content"]:
        """The content that first codes stand for."""
        first = next(iter(self.stages))
        return first.codebook.embed[codes] if self.content_dim else first.decode(codes)
