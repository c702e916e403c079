"""Where and in what precision a model computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from parlando.core.errors import ConfigError

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEVICE_TYPES = ("cpu", "cuda", "mps")
AUTO = "auto"
_LARGE_BYTES = 256 * 2**20


def is_large(weights: Path) -> bool:
    """Whether a file of weights is that of a large model: small ones compute in float32, in which they step fastest."""
    return weights.is_file() and weights.stat().st_size > _LARGE_BYTES


def has_matrix_units() -> bool:
    """Whether this processor multiplies matrices of bfloat16 in hardware (AMX), some five times as fast as float32."""
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe and probe())


def full_precision(device: torch.device) -> torch.autocast:
    """Products in float32, within an autocast to bfloat16."""
    return torch.autocast(device.type, enabled=False)


@dataclass(frozen=True)
class Placement:
    """The device of all parts and the dtype of the LM; what makes sound is always float32, in half it is unstable.

    With ``cuda_graphs`` steps of the LM are recorded where the device can.
    """

    device: torch.device
    dtype: torch.dtype
    cuda_graphs: bool = False

    @classmethod
    def choose(cls, device: str | None, dtype: str | None, large: bool = False) -> Placement:
        """Fill in what was left open: the GPU if there is one, and float32 but for large models there.

        With "auto" large models are in bfloat16 on processors with matrix units, too.

        Raises:
            ConfigError: there is no such device or dtype.
        """
        target = cls._device(device)
        halves = target.type == "cuda" or (dtype == AUTO and target.type == "cpu" and has_matrix_units())
        name = dtype if dtype not in (None, AUTO) else "bfloat16" if large and halves else "float32"
        if name not in DTYPES:
            raise ConfigError(f"no dtype '{name}'; there are: {', '.join((*DTYPES, AUTO))}")
        return cls(target, DTYPES[name])

    @property
    def records(self) -> bool:
        """Whether steps are taken in shapes that recur, and recorded."""
        return self.cuda_graphs and self.device.type == "cuda"

    @staticmethod
    def _device(name: str | None) -> torch.device:
        if name is None:
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(name)
        except RuntimeError as error:
            raise ConfigError(f"no device '{name}'; use cpu, cuda or cuda:1") from error
        if device.type not in DEVICE_TYPES:
            raise ConfigError(f"no device '{name}' here; use {', '.join(DEVICE_TYPES)} or cuda:1")
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(f"no device '{name}' here: {torch.cuda.device_count()} GPUs are visible; use cpu")
        return device
