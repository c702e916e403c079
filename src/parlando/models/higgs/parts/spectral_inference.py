"""The light codec's decoder for synthesis on a processor: in the compiled kernel, and without what is not heard.

The fine blocks cost most and look only a little way to each side, so they run over the wanted frames and that margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.models.higgs.parts.spectral import NeighbourBlock, SpectralCodec
from parlando.nn.native.neighbours import BlockWeights, NeighbourStack


class PackedDecoder:
    """Decodes the codes of one clip at a time, over weights that it packs once and never changes."""

    def __init__(self, codec: SpectralCodec) -> None:
        decoder, config = codec.decoder, codec.config
        self._decoder, self._stride, self.samples_per_frame = decoder, config.stride, codec.samples_per_frame
        self._margin = codec.past_frames - config.decoder_coarse_blocks
        codebooks = [quantizer.project_out(quantizer.codebook.embed) for quantizer in codec.quantizer.stages]
        self._table = torch.cat(codebooks).detach()
        self._offsets = torch.arange(config.num_codebooks)[:, None] * config.codebook_size
        self._coarse = _packed(decoder.coarse)
        self._fine = _packed(nn.Sequential(*decoder.early, *decoder.late))

    @staticmethod
    def fits(codec: object) -> TypeGuard[SpectralCodec]:
        """Whether this can decode in a codec's place."""
        if not isinstance(codec, SpectralCodec):
            return False
        config, weights = codec.config, codec.decoder.enter.weight
        return all(
            NeighbourStack.fits(dim, config.hidden_dim, weights) for dim in (config.coarse_dim, config.fine_dim)
        ) and bool(config.decoder_coarse_blocks and config.decoder_fine_blocks)

    @torch.inference_mode()
    def decode(self, codes: Int[Tensor, "codebook frame"], start: int, stop: int) -> Float[Tensor, " sample"]:
        """The samples of frames ``start..stop``; the other frames are what they depend on."""
        decoder = self._decoder
        latent = functional.embedding_bag((codes + self._offsets).t(), self._table, mode="sum")
        coarse = self._coarse(decoder.enter(latent))
        first, last = max(0, start - self._margin), min(len(coarse), stop + self._margin)
        fine = decoder.split(coarse[first:last]).unflatten(1, (self._stride, -1)).flatten(0, 1)
        samples = decoder.head(decoder.norm(self._fine(fine))[None])[0]
        return samples[(start - first) * self.samples_per_frame : (stop - first) * self.samples_per_frame]


def _packed(blocks: nn.Sequential) -> NeighbourStack:
    known = cast("Sequence[NeighbourBlock]", blocks)
    weights = [
        BlockWeights(
            block.norm.weight,
            block.norm.bias,
            block.widen.weight.t(),
            block.widen.bias,
            block.narrow.weight.t(),
            block.narrow.bias,
        )
        for block in known
    ]
    return NeighbourStack(weights, known[0].norm.eps)
