"""What a language model starts from: nothing, a finished run, or a model's folder, which brings its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from torch import Tensor

from parlando.core.errors import ConfigError, UnknownKeyError
from parlando.core.folder import write_json

TEXT_CONFIG, TOKENIZER_FILE = "text.json", "tokenizer.json"


@contextmanager
def of_family(family: str, folder: Path) -> Iterator[None]:
    """Read the settings of a folder to start from; those of another family have keys that this one does not know.

    Raises:
        ConfigError: there is such a key; the message says of which family the folder should be.
    """
    try:
        yield
    except UnknownKeyError as error:
        raise ConfigError(
            f"'{folder}' is not a language model of the {family} family: {error.where} has '{error.key}'; "
            "name one of that family, or train with a recipe of the folder's"
        ) from error


class TextConfig(Protocol):
    """What a model's config says of its text; the vocabulary of one of the kind ``hub`` is in a file."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def kind(self) -> str:
        """Of which kind it is."""
        ...


SizesT = TypeVar("SizesT")
TokenizerT = TypeVar("TokenizerT")


@dataclass(frozen=True)
class Start(Generic[SizesT, TokenizerT]):
    """A tokenizer with its config, and, if something was trained before, its sizes and tensors (float32)."""

    text: TextConfig
    tokenizer: TokenizerT
    sizes: SizesT | None = None
    tensors: Mapping[str, Tensor] | None = None

    def save_text(self, folder: Path) -> None:
        """Write ``text.json``, and ``tokenizer.json`` if the vocabulary is in a file, so that one can start here."""
        write_json(folder / TEXT_CONFIG, asdict(self.text))
        if self.text.kind == "hub":
            self.tokenizer.save(folder / TOKENIZER_FILE)  # type: ignore[attr-defined]
