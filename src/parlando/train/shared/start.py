"""What a language model starts from: nothing, a finished run, or a model's folder, which brings its tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from torch import Tensor
from torch.nn import Module

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, UnknownKeyError
from parlando.core.folder import write_json
from parlando.train.loop.checkpoint import float32_copy, read_float32

LM_WEIGHTS, LM_CONFIG, ADAPTER_FOLDER = "lm.safetensors", "lm.json", "adapter"
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
    """A tokenizer with its config, and, if something was trained before, its sizes and tensors (float32).

    ``base`` is by which name or folder it was asked for.
    """

    text: TextConfig
    tokenizer: TokenizerT
    sizes: SizesT | None = None
    tensors: Mapping[str, Tensor] | None = None
    base: str = ""

    @property
    def trained_sizes(self) -> SizesT:
        """The sizes of what was trained before.

        Raises:
            ConfigError: nothing was, or its folder does not say them.
        """
        if self.sizes is None:
            raise ConfigError("a fine-tuning begins with a model; name its folder or hub id with --from")
        return self.sizes

    def save_text(self, folder: Path) -> None:
        """Write ``text.json``, and ``tokenizer.json`` if the vocabulary is in a file, so that one can start here."""
        write_json(folder / TEXT_CONFIG, asdict(self.text))
        if self.text.kind == "hub":
            self.tokenizer.save(folder / TOKENIZER_FILE)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class LMFolders(Generic[SizesT, TokenizerT]):
    """How the folders of one family are read: a run's, and a model's in our own and in the published layout.

    ``described`` is a dataclass whose field ``text`` is what ``text.json`` may hold; ``read_config`` and ``load_lm``
    read our own layout; ``published_file`` marks a folder that ``of_published`` reads.
    """

    family: str
    sizes: type[SizesT]
    described: type[Any]
    default_text: Callable[[], TextConfig]
    build_tokenizer: Callable[[Any, Path | None], TokenizerT]
    is_own_layout: Callable[[Path], bool]
    read_config: Callable[[Path], Any]
    load_lm: Callable[[Path, SizesT], Module]
    published_file: str
    of_published: Callable[[Path], Start[SizesT, TokenizerT]]

    def find(self, folder: Path | None) -> Start[SizesT, TokenizerT]:
        """The tokenizer, sizes and tensors of a run's or a model's folder; without one, the default tokenizer.

        Raises:
            FileMissingError: there is nothing to start from.
            ConfigError, CheckpointError: what is there is damaged, or another family's.
        """
        if folder is None:
            text = self.default_text()
            return Start(text, self.build_tokenizer(text, None))
        with of_family(self.family, folder):
            if self.is_own_layout(folder):
                return self._of_model(folder)
            return self.of_published(folder) if (folder / self.published_file).is_file() else self._of_run(folder)

    def read_text(self, folder: Path) -> Any:
        """How a run's text became tokens; a run that does not say had the default phonemes.

        Raises:
            ConfigError: its settings are damaged.
        """
        file = folder / TEXT_CONFIG
        if not file.is_file():
            return self.default_text()
        return from_mapping(self.described, {"text": read_json(file)}, str(file)).text

    def _of_run(self, folder: Path) -> Start[SizesT, TokenizerT]:
        """What a training left; one that says no sizes has those of the recipe."""
        text, file = self.read_text(folder), folder / LM_CONFIG
        sizes = from_mapping(self.sizes, read_json(file), str(file)) if file.is_file() else None
        return Start(text, self.build_tokenizer(text, folder), sizes, read_float32(folder / LM_WEIGHTS))

    def _of_model(self, folder: Path) -> Start[SizesT, TokenizerT]:
        config = self.read_config(folder)
        tensors = self.load_lm(folder, config.lm).state_dict()
        return Start(config.text, self.build_tokenizer(config.text, folder), config.lm, float32_copy(tensors))
