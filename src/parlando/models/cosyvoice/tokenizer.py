"""Text to ids: a published checkpoint's byte pairs (`HubTokenizer`), or phonemes and letters (`PhonemeTokenizer`).

Both know the same special strings: the end of an instruction, and tags for sounds (``[laughter]``) and manners of
speaking (``<strong>…</strong>``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError, FileMissingError, MissingDependencyError
from parlando.text.phonemes import PhonemeInventory, PhonemeReader, Pronounce, Spell, any_of, number

if TYPE_CHECKING:
    import tokenizers

END_OF_PROMPT = "<|endofprompt|>"
TAGS = (
    "[breath]", "<strong>", "</strong>", "[noise]", "[laughter]", "[cough]", "[clucking]", "[accent]", "[quick_breath]",
    "<laughter>", "</laughter>", "[hissing]", "[sigh]", "[vocalized-noise]", "[lipsmack]", "[mn]",
)  # fmt: skip
"""Tags inside a text, in the order of their ids."""

PUBLISHED_SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", END_OF_PROMPT, *TAGS)
"""The special strings of CosyVoice2: Qwen2's own, and those that it adds behind them."""

# How Qwen2 cuts text into the pieces that byte pairs are merged in.
_PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


class TextTokenizer(Protocol):
    """What prompts need of a tokenizer; ``end_of_prompt`` is the id that closes an instruction.

    ``speaks`` says in words what it has a way to write.
    """

    end_of_prompt: int
    speaks: str
    vocab_size: int

    def encode(self, text: str, spell: Spell | None = None) -> list[int]:
        """Ids of a text, special strings recognised and none added; ``spell`` says which words to read by letters."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, as far as it can be told."""
        ...

    def measure(self, text: str) -> tuple[int, int]:
        """How many spoken units and pauses a text has; a length prior needs them."""
        ...

    def unread(self, text: str) -> str:
        """The first word of a text that is left out, in part or as a whole; empty if there is none."""
        ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters of a text that each of its ids stands for."""
        ...


class HubTokenizer:
    """The Qwen2 byte-pair encoding of a published checkpoint, from its ``CosyVoice-BlankEN`` folder.

    That folder has ``vocab.json`` and ``merges.txt``; a ``tokenizer.json``, as `save` writes it, does as well.
    """

    speaks = "every language"

    def __init__(self, folder: Path) -> None:
        """Load from a folder.

        Raises:
            FileMissingError: it has neither kind of file.
            ConfigError: a file is not JSON.
            CheckpointError: a file is no tokenizer, or its ids are not in the order of CosyVoice2.
            MissingDependencyError: the ``tokenizers`` package is not installed.
        """
        try:
            import tokenizers
        except ImportError as error:
            raise MissingDependencyError("tokenizers", "pip install tokenizers") from error
        whole = folder / "tokenizer.json"
        if whole.is_file():
            if "model" not in read_json(whole):
                raise CheckpointError(f"{whole}: describes no tokenizer model; is this a tokenizer.json?")
            self._bpe = tokenizers.Tokenizer.from_file(str(whole))
        else:
            self._bpe = _qwen2(folder)
        self._bpe.add_special_tokens(list(PUBLISHED_SPECIALS))
        ids = [self._bpe.token_to_id(text) or 0 for text in PUBLISHED_SPECIALS]
        if ids != list(range(ids[0], ids[0] + len(ids))):
            raise CheckpointError(
                f"'{folder}': its special tokens have the ids {ids}, not one after the other; "
                "is this the tokenizer of CosyVoice2?"
            )
        self.end_of_prompt = ids[PUBLISHED_SPECIALS.index(END_OF_PROMPT)]
        self.vocab_size: int = self._bpe.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str, spell: Spell | None = None) -> list[int]:
        """Ids of a text; BPE has its own subwords, so ``spell`` changes nothing here."""
        return self._bpe.encode(text, add_special_tokens=False).ids

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters of a text that each of its ids stands for."""
        return self._bpe.encode(text, add_special_tokens=False).offsets

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special strings included."""
        return self._bpe.decode(list(ids), skip_special_tokens=False)

    def measure(self, text: str) -> tuple[int, int]:
        """Tokens; marks take no time of their own."""
        return len(self.encode(text)), 0

    def unread(self, text: str) -> str:
        """Nothing: BPE has a way to write every character."""
        return ""

    def save(self, file: Path) -> None:
        """Write a ``tokenizer.json``."""
        self._bpe.save(str(file))


def _qwen2(folder: Path) -> tokenizers.Tokenizer:
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    for file in (vocab, merges):
        if not file.is_file():
            raise FileMissingError(file, "tokenizer")
    read_json(vocab)
    try:
        # The library has no error of its own for merges that do not fit.
        bpe = Tokenizer(models.BPE.from_file(str(vocab), str(merges)))
    except Exception as error:
        raise CheckpointError(f"'{folder}': vocab.json and merges.txt are no byte-pair encoding: {error}") from error
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    return bpe


@dataclass(frozen=True, kw_only=True)
class PhonemeTextConfig(PhonemeInventory):
    """The vocabulary of a phoneme model; ids count through ``specials``, then through the inventory."""

    kind: Literal["phonemes"] = "phonemes"
    specials: tuple[str, ...] = (END_OF_PROMPT, *TAGS)


@dataclass(frozen=True)
class HubTextConfig:
    """Text as Qwen2's byte pairs, which have a file of their own, ``tokenizer.json``."""

    kind: Literal["hub"] = "hub"


def default_phoneme_config() -> PhonemeTextConfig:
    """The vocabulary of the small default model."""
    return PhonemeTextConfig()


class PhonemeTokenizer:
    """Words become phones or letters (`PhonemeReader`), an instruction's too; special strings become one id each."""

    speaks = "English, in the letters from a to z"

    def __init__(self, config: PhonemeTextConfig, pronounce: Pronounce | None = None) -> None:
        """``pronounce`` maps a lower-case word to phones; the packaged lexicon by default.

        Raises:
            CheckpointError: the vocabulary has nothing that closes an instruction.
        """
        if END_OF_PROMPT not in config.specials:
            raise CheckpointError(f"text.specials: no {END_OF_PROMPT}; is this a CosyVoice tokenizer?")
        self.config = config
        self._special_ids = number(config.specials, 0)
        self._reader = PhonemeReader(config, len(config.specials), pronounce)
        self._surface = (*config.specials, *self._reader.surfaces)
        self._specials = re.compile(f"({any_of(self._special_ids)})")
        self.vocab_size = len(self._surface)
        self.end_of_prompt = self._special_ids[END_OF_PROMPT]

    def encode(self, text: str, spell: Spell | None = None) -> list[int]:
        """Ids of a text; words for which ``spell`` says so are read by letters although the lexicon has them."""
        ids: list[int] = []
        for index, piece in enumerate(self._specials.split(text)):
            ids += [self._special_ids[piece]] if index % 2 else self._reader.read(piece, spell)
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Special strings and letters as they are, each phone in braces."""
        return "".join(self._surface[index] for index in ids)

    def measure(self, text: str) -> tuple[int, int]:
        """Phones and letters, and punctuation marks."""
        return self._reader.measure(self.encode(text))

    def unread(self, text: str) -> str:
        """The first word with a letter that is in no way in the vocabulary."""
        return next(filter(None, map(self._reader.unread, self._specials.split(text)[::2])), "")

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters of a text that each of its ids stands for."""
        spans: list[tuple[int, int]] = []
        end = 0
        for index, piece in enumerate(self._specials.split(text)):
            start, end = end, end + len(piece)
            inside = [(0, len(piece))] if index % 2 else self._reader.spans(piece)
            spans += [(start + first, start + last) for first, last in inside]
        return spans

    def knows(self, word: str) -> bool:
        """Whether a word is read by its phones rather than by letters."""
        return self._reader.knows(word)
