"""What may be asked of a model when it is loaded, besides where it computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import TypedDict, cast, get_args

import torch

from parlando.core.config import AtLeastOne, Whole, from_mapping
from parlando.core.errors import ConfigError
from parlando.core.kinds import check_type
from parlando.nn.few_bits import Kind
from parlando.nn.peft import AdapterFolder
from parlando.nn.placement import Placement
from parlando.nn.quantized import check_arithmetic, check_kind


@dataclass(frozen=True)
class FlowOptions:
    """How a flow is followed, where it differs from the model's config; each gives something up.

    ``solver_steps``: fewer are faster, and the mel is farther from where the flow leads. ``left_chunks``: how many
    chunks a chunk looks back, instead of all; the work of a chunk is bounded then, and what is farther away no longer
    counts. ``first_tokens``: how many tokens after the prompt the first chunk ends, instead of a whole chunk, so that
    sound begins earlier; its frames see fewer to their right than in training.
    """

    solver_steps: AtLeastOne | None = None
    left_chunks: Whole | None = None
    first_tokens: AtLeastOne | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, spec.name) is not None for spec in fields(self))


class LoadOptions(TypedDict, total=False):
    """`ModelOptions` as they are given to `parlando.load`."""

    adapter: str | Path | AdapterFolder | None
    quantize: str | None
    flow: Mapping[str, int] | None
    cuda_graphs: bool


@dataclass(frozen=True)
class ModelOptions:
    """An ``adapter`` of the language model, the kind of few bits that weights are kept in, and the flow's options.

    With ``cuda_graphs`` steps of the language model are recorded on a CUDA device.
    """

    adapter: AdapterFolder | None = None
    quantize: Kind | None = None
    flow: FlowOptions = field(default_factory=FlowOptions)
    cuda_graphs: bool = False

    @classmethod
    def of(
        cls,
        adapter: str | Path | AdapterFolder | None = None,
        quantize: str | None = None,
        flow: Mapping[str, int] | None = None,
        cuda_graphs: bool = False,
    ) -> ModelOptions:
        """Checked and completed.

        Raises:
            ConfigError: one of them is of a wrong type, unknown or out of range.
        """
        check_type("adapter", adapter, str | PathLike | AdapterFolder | None, "a path")
        check_type("quantize", quantize, str | None)
        check_type("cuda_graphs", cuda_graphs, bool)
        chosen = AdapterFolder(Path(adapter)) if isinstance(adapter, str | PathLike) else adapter
        kind = None if quantize is None else known_kind(quantize, "quantize")
        return cls(chosen, kind, from_mapping(FlowOptions, flow or {}, "flow"), cuda_graphs)

    def placed(self, placement: Placement) -> Placement:
        """The placement, with these options' say in it."""
        return replace(placement, cuda_graphs=self.cuda_graphs)

    def check(self, stored: Kind | None, device: torch.device, where: str) -> None:
        """Whether this can be had of a model whose weights are stored as some kind, on a device.

        Raises:
            ConfigError: it cannot.
        """
        check_kind(self.quantize, stored, where)
        check_arithmetic(self.quantize or stored, device, where)
        if stored is not None and self.adapter is not None:
            raise ConfigError(f"{where} is stored as {stored}, which takes no adapter; take it in full precision")


PLAIN = ModelOptions()


def known_kind(name: str, where: str) -> Kind:
    """A kind of few bits by its name.

    Raises:
        ConfigError: there is no such kind.
    """
    if name not in get_args(Kind):
        raise ConfigError(f"{where}: '{name}' is not known; use {', '.join(get_args(Kind))}")
    return cast("Kind", name)


def read_card(folder: Path) -> str | None:
    """What a model's folder says of it to people, if it does."""
    card = folder / "card.md"
    return card.read_text(encoding="utf-8") if card.is_file() else None
