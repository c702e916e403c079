"""Text to ids: a checkpoint's own BPE (`HubTokenizer`), or phonemes with a letter fallback (`PhonemeTokenizer`)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal, Protocol

from parlando.core.config import read_json
from parlando.core.errors import CheckpointError, FileMissingError, MissingDependencyError
from parlando.models.higgs.parts.chatml import GENERATE_INSTRUCTION, MULTI_SPEAKER_INSTRUCTION
from parlando.text.phonemes import PhonemeInventory, PhonemeReader, Pronounce, Spell, any_of, number

SPECIAL_STRINGS = {
    "begin_of_text": "<|begin_of_text|>",
    "end_of_text": "<|end_of_text|>",
    "start_header": "<|start_header_id|>",
    "end_header": "<|end_header_id|>",
    "eom": "<|eom_id|>",
    "eot": "<|eot_id|>",
    "audio_bos": "<|audio_bos|>",
    "audio_eos": "<|audio_eos|>",
    "audio_out_bos": "<|audio_out_bos|>",
    "audio_in": "<|AUDIO|>",
    "audio_out": "<|AUDIO_OUT|>",
}
DELAY_STRING = "<|reserved_special_token_6|>"
_SCENE_STRINGS = (
    "<|scene_desc_start|>",
    "<|scene_desc_end|>",
    "<|generation_instruction_start|>",
    "<|generation_instruction_end|>",
    "<|recipient|>",
    "<|speaker_id_start|>",
    "<|speaker_id_end|>",
)
PROMPT_STRINGS = (*SPECIAL_STRINGS.values(), DELAY_STRING, *_SCENE_STRINGS)
"""What a checkpoint's vocabulary has as one token each."""
_HEADERS = tuple(f"<|start_header_id|>{role}<|end_header_id|>\n\n" for role in ("system", "user", "assistant"))
_SPEAKER_TAGS = tuple(pattern.format(n) for pattern in ("[SPEAKER{}]", "SPEAKER{}:") for n in range(4))
_EVENT = re.compile(r"<(SE(?:_[se])?)>\s*\[[^\]\n]*\]\s*</\1>")
_WIDE_UNITS = 3


class TextTokenizer(Protocol):
    """What prompts need of a tokenizer; the named ids are those of `SPECIAL_STRINGS`, and ``pad`` fills batches."""

    begin_of_text: int
    end_of_text: int
    start_header: int
    end_header: int
    eom: int
    eot: int
    audio_bos: int
    audio_eos: int
    audio_out_bos: int
    audio_in: int
    audio_out: int
    delay: int | None
    pad: int
    vocab_size: int

    def encode(self, text: str, spell: Spell | None = None) -> list[int]:
        """Ids of a text, special strings recognised and none added; ``spell`` says which words to read by letters."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, as far as it can be told."""
        ...

    def measure(self, text: str) -> tuple[int, int]:
        """How many spoken units (phones or letters) and punctuation marks a text has; a length prior needs them."""
        ...

    def unread(self, text: str) -> str:
        """The first word of a text that is left out, in part or as a whole; empty if there is none."""
        ...

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters of an ordinary text that each of its ids stands for."""
        ...


class _SpecialIds:
    """The named ids, looked up once."""

    def __init__(self, lookup: Callable[[str], int | None], where: str) -> None:
        missing = [text for text in SPECIAL_STRINGS.values() if lookup(text) is None]
        if missing:
            raise CheckpointError(f"{where}: no special tokens {', '.join(missing)}; is this a Higgs tokenizer?")
        ids = {name: lookup(text) or 0 for name, text in SPECIAL_STRINGS.items()}
        self.begin_of_text, self.end_of_text = ids["begin_of_text"], ids["end_of_text"]
        self.start_header, self.end_header = ids["start_header"], ids["end_header"]
        self.eom, self.eot = ids["eom"], ids["eot"]
        self.audio_bos, self.audio_eos, self.audio_out_bos = ids["audio_bos"], ids["audio_eos"], ids["audio_out_bos"]
        self.audio_in, self.audio_out = ids["audio_in"], ids["audio_out"]
        self.delay = lookup(DELAY_STRING)
        self.pad = self.end_of_text


class HubTokenizer(_SpecialIds):
    """The BPE of a published checkpoint, from its ``tokenizer.json``."""

    def __init__(self, path: Path) -> None:
        """Load ``tokenizer.json`` from a folder, or that file itself.

        Raises:
            FileMissingError: it is not there.
            ConfigError: it is not JSON.
            CheckpointError: it is not a tokenizer, or lacks the Higgs special tokens.
            MissingDependencyError: the ``tokenizers`` package is not installed.
        """
        try:
            import tokenizers
        except ImportError as error:
            raise MissingDependencyError("tokenizers", "pip install tokenizers") from error
        file = path / "tokenizer.json" if path.is_dir() else path
        if not file.is_file():
            raise FileMissingError(file, "tokenizer")
        if "model" not in read_json(file):
            raise CheckpointError(f"{file}: describes no tokenizer model; is this a tokenizer.json?")
        self._bpe = tokenizers.Tokenizer.from_file(str(file))
        super().__init__(self._bpe.token_to_id, str(file))
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

    def save(self, file: Path) -> None:
        """Write a ``tokenizer.json``."""
        self._bpe.save(str(file))

    def measure(self, text: str) -> tuple[int, int]:
        """Letters and digits (a wide character, such as a Chinese one, is a syllable), and punctuation marks."""
        spoken = [_WIDE_UNITS if unicodedata.east_asian_width(c) in "WF" else 1 for c in text if c.isalnum()]
        return sum(spoken), sum(unicodedata.category(character).startswith("P") for character in text)

    def unread(self, text: str) -> str:
        """Nothing: BPE has a way to write every character."""
        return ""


@dataclass(frozen=True, kw_only=True)
class PhonemeTextConfig(PhonemeInventory):
    """The vocabulary of a phoneme model; ids count through these fields in this order, then through the inventory.

    ``atoms`` are prompt strings that become one token each. ``descriptions`` are too, but only as the whole of what
    follows a ``SPEAKERn:``, so that the same words in a sentence are spoken.
    """

    kind: Literal["phonemes"] = "phonemes"
    specials: tuple[str, ...] = PROMPT_STRINGS
    atoms: tuple[str, ...] = (*_HEADERS, GENERATE_INSTRUCTION, MULTI_SPEAKER_INSTRUCTION, *_SPEAKER_TAGS)
    descriptions: tuple[str, ...] = (
        "feminine",
        "masculine",
        "a mature American woman, calm and clear",
        "a young American woman, bright and even",
        "an American man, steady and warm",
        "a Scottish man, brisk",
        "a robotic man, flat",
    )


@dataclass(frozen=True)
class HubTextConfig:
    """Text as byte pairs, whose vocabulary is in a file of its own, ``tokenizer.json``."""

    kind: Literal["hub"] = "hub"


def default_phoneme_config() -> PhonemeTextConfig:
    """The vocabulary of the small default model."""
    return PhonemeTextConfig()


class PhonemeTokenizer(_SpecialIds):
    """Words become phones or letters (`PhonemeReader`); prompt strings become one token each.

    Sound events (``<SE>[Laughter]</SE>``) are not spoken.
    """

    def __init__(self, config: PhonemeTextConfig, pronounce: Pronounce | None = None) -> None:
        """``pronounce`` maps a lower-case word to phones; the packaged lexicon by default."""
        self.config = config
        self._prompt_ids = number(config.specials + config.atoms, 0)
        self._description_ids = number(config.descriptions, len(self._prompt_ids))
        self._reader = PhonemeReader(config, len(self._prompt_ids) + len(config.descriptions), pronounce)
        self._surface = (*config.specials, *config.atoms, *config.descriptions, *self._reader.surfaces)
        self.vocab_size = len(self._surface)
        self._prompt_strings = re.compile(f"({any_of(self._prompt_ids)})")
        self._description = re.compile(rf"\s*({any_of(self._description_ids)})\s*(?=\n|<\||$)")
        super().__init__(self._prompt_ids.get, "text.specials")

    def encode(self, text: str, spell: Spell | None = None) -> list[int]:
        """Ids of a text; words for which ``spell`` says so are read by letters although the lexicon has them."""
        return list(chain.from_iterable(self._pieces(text, spell)))

    def decode(self, ids: Sequence[int]) -> str:
        """Prompt strings and letters as they are, each phone in braces."""
        return "".join(self._surface[index] for index in ids)

    def measure(self, text: str) -> tuple[int, int]:
        """Phones and letters, and punctuation marks."""
        return self._reader.measure(self.encode(text))

    def unread(self, text: str) -> str:
        """The first word with a letter that is in no way in the vocabulary."""
        ordinary = (_EVENT.sub(" ", piece) for piece in self._prompt_strings.split(text)[::2])
        return next(filter(None, map(self._reader.unread, ordinary)), "")

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The characters of an ordinary text that each of its ids stands for."""
        spans: list[tuple[int, int]] = []
        end = 0
        for index, piece in enumerate(self._prompt_strings.split(text)):
            start, end = end, end + len(piece)
            if index % 2:
                spans.append((start, end))
            else:
                inside = self._reader.spans(_EVENT.sub(lambda event: " " * len(event[0]), piece))
                spans += [(start + first, start + last) for first, last in inside]
        return spans

    def knows(self, word: str) -> bool:
        """Whether a word is read by its phones rather than by letters."""
        return self._reader.knows(word)

    def _pieces(self, text: str, spell: Spell | None) -> Iterator[list[int]]:
        """Ids piece by piece: prompt strings and the ordinary text between them alternate."""
        describes = False
        for index, piece in enumerate(self._prompt_strings.split(text)):
            if index % 2:
                yield [self._prompt_ids[piece]]
                describes = piece.endswith(":")
                continue
            match = self._description.match(piece) if describes else None
            if match:
                yield [self._description_ids[match.group(1)]]
                piece = piece[match.end() :]
            yield self._reader.read(_EVENT.sub(" ", piece), spell)
