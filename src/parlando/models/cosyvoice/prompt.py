"""Prompts of the CosyVoice family: what the language model is given to read and to continue, in every mode.

A sequence is ``[sos] text [task] speech``, a clip to be followed before the sentence in both; or, where text arrives
while it is spoken, groups of both in turn (`interleave`). Training and inference share the builder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from parlando.core.errors import InputError, PromptTooLongError, TextError
from parlando.core.types import IGNORED_LABEL, Prompt, Voice
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.parts.interleave import ArrivingText, Interleaver, TextLimits
from parlando.models.cosyvoice.tokenizer import TextTokenizer
from parlando.text.length import LengthPrior
from parlando.text.phonemes import Spell

PUBLISHED_LENGTH = LengthPrior(frames_per_unit=8.0)
MOST_QUOTED = 60
_MARKUP = re.compile(r"<\|[^|<>]*\|>")


@dataclass(frozen=True)
class SpeechPrompt(Prompt):
    """A prompt with what the rest of the family needs to know of its request.

    ``text_tokens`` counts the tokens of the sentence alone, ``lead_tokens`` those of the text before it; ``voice`` is
    what the decoder conditions on; ``turns`` is where the prompt ends in a text that is still arriving.
    """

    text_tokens: int = 0
    lead_tokens: int = 0
    voice: Voice | None = None
    turns: Interleaver | None = None


@dataclass(frozen=True)
class TrainingExample:
    """A whole sequence, and the code to be said after each of its positions (int64 [position]; no shift is left to do).

    A request for text (`LMConfig.fill`) and the end are said and never read, so they are labels only.
    """

    prompt: SpeechPrompt
    labels: np.ndarray


@dataclass(frozen=True)
class Lead:
    """What comes before the sentence: text tokens, and the speech that belongs to them."""

    tokens: tuple[int, ...] = ()
    codes: tuple[int, ...] = ()


class CosyVoicePromptBuilder:
    """Sentences and voices to prompts (implements `core.stages.PromptBuilder`).

    The voice decides the mode. Its ``instruction`` ("speak slowly", a dialect) is read first and closed with the
    end-of-prompt token, so that it is never spoken; no clip is followed then. Without one, references with a
    transcript are continued (zero-shot). A reference without a transcript (cross-lingual) and none at all (a preset
    speaker) give the language model nothing: the decoder alone takes the sound from the voice.
    """

    def __init__(
        self,
        tokenizer: TextTokenizer,
        config: LMConfig,
        length: LengthPrior | None = None,
        limits: TextLimits | None = None,
    ) -> None:
        self.tokenizer, self.config = tokenizer, config
        self.length, self.limits = length or PUBLISHED_LENGTH, limits or TextLimits()

    def build(self, sentence: str, voice: Voice) -> SpeechPrompt:
        """The prompt after which the model speaks one sentence.

        Raises:
            TextError: there is nothing to pronounce, or nothing that this model can read.
            PromptTooLongError: prompt and expected speech exceed the context; the message says which part is long.
            InputError: a reference's codes do not fit this model.
        """
        sentence = without_markup(sentence).strip()
        lead, tokens = self.lead(voice), self._encode(sentence)
        expected = self.length.frames(*self.tokenizer.measure(sentence))
        self._check_length(lead, len(tokens), math.ceil(expected))
        prompt = self._prompt(*self._sequence(lead.tokens + tokens, lead.codes))
        unread = self.tokenizer.unread(sentence)
        return replace(
            prompt, sentence=sentence, expected_frames=expected, unread=unread, voice=voice,
            text_tokens=len(tokens), lead_tokens=len(lead.tokens), voice_positions=1 + len(lead.tokens),
        )  # fmt: skip

    def spans(self, sentence: str) -> list[tuple[int, int]]:
        """The characters of a sentence that each of its tokens stands for."""
        return self.tokenizer.spans(_MARKUP.sub(lambda markup: " " * len(markup[0]), sentence))

    def build_arriving(self, pieces: Iterable[str], voice: Voice) -> SpeechPrompt:
        """The prompt of a text that arrives in pieces, as many of which are taken as it needs; the sampler asks for the
        others when they are due. Any number of samplers may be made of it, one after another.

        Raises:
            TextError: the pieces have nothing to pronounce, or nothing that this model can read, or one is no string.
            PromptTooLongError: the text is longer than the limits allow.
            InputError: a reference's codes do not fit this model.
            Exception: whatever the pieces raise, as it is.
        """
        lead = self.lead(voice)
        text = ArrivingText(self._begun(pieces), lambda part: self.tokenizer.encode(without_markup(part)), self.limits)
        turns = self._turns(text, lead.tokens)
        values, is_code = turns.opening(lead.codes)
        prompt = self._prompt([self.config.sos_id, *values], [False, *is_code])
        return replace(prompt, text_tokens=len(text.tokens), lead_tokens=len(lead.tokens), voice=voice, turns=turns)

    def build_training(
        self, sentence: str, voice: Voice, codes: np.ndarray, arriving: bool = False, spell: Spell | None = None
    ) -> TrainingExample:
        """The prompt of `build` with its answer (``codes``, int64 [1, frame]) and what to learn of it.

        ``arriving`` lays it out as `build_arriving` does, unless there is too little speech to go between the text;
        ``spell`` names words to be read by letters, the same ones whenever it is asked.

        Raises:
            TextError: there is nothing to pronounce.
            PromptTooLongError: the example exceeds the context.
            InputError: codes do not fit this model.
        """
        sentence = without_markup(sentence).strip()
        lead, tokens, answer = self.lead(voice), self._encode(sentence, spell), self._checked(codes)
        self._check_length(lead, len(tokens), len(answer))
        values, is_code = self._sequence(lead.tokens + tokens, lead.codes + answer)
        if arriving:
            whole = ArrivingText([sentence], lambda part: self.tokenizer.encode(part, spell), self.limits)
            while not whole.ended:
                whole.pull()
            turns = self._turns(whole, lead.tokens)
            laid_out = turns.opening(lead.codes + answer)
            if turns.is_last:
                values, is_code = [self.config.sos_id, *laid_out[0]], [False, *laid_out[1]]
        prompt = self._prompt(values, is_code)
        whole_prompt = replace(prompt, sentence=sentence, text_tokens=len(tokens), voice=voice)
        return TrainingExample(whole_prompt, self._labels(prompt, len(lead.codes)))

    def lead(self, voice: Voice) -> Lead:
        """What the model is given before the sentence, by the voice's mode.

        Raises:
            InputError: a reference's codes do not fit this model.
        """
        if voice.instruction:
            instruction = without_markup(voice.instruction).strip()
            return Lead((*self.tokenizer.encode(instruction), self.tokenizer.end_of_prompt))
        told = [reference for reference in voice.references if reference.text.strip()]
        text = " ".join(without_markup(reference.text).strip() for reference in told)
        codes = [code for reference in told for code in self._checked(reference.codes)]
        return Lead(tuple(self.tokenizer.encode(text)) if text else (), tuple(codes))

    def _encode(self, sentence: str, spell: Spell | None = None) -> tuple[int, ...]:
        if not any(map(str.isalnum, sentence)):
            raise TextError(f"nothing to pronounce in {sentence!r}; write at least one letter")
        tokens = tuple(self.tokenizer.encode(sentence, spell))
        if not self.tokenizer.measure(sentence)[0]:
            raise self._unreadable(sentence)
        return tokens

    def _begun(self, pieces: Iterable[str]) -> Iterator[str]:
        """The pieces, as many of them taken as it needs to know that this model can read something of the text."""
        taken: list[str] = []
        rest = iter(pieces)
        for piece in rest:
            taken.append(piece)
            # What is no string, or comes without end, is refused where the text is read.
            if not isinstance(piece, str) or self.tokenizer.measure(piece)[0] or len(taken) > self.limits.most_tokens:
                return chain(taken, rest)
        if any(map(str.isalnum, text := "".join(taken))):
            raise self._unreadable(text.strip()[:MOST_QUOTED])
        return iter(taken)

    def _unreadable(self, text: str) -> TextError:
        return TextError(f"this model can read nothing of {text!r}; it speaks {self.tokenizer.speaks}")

    def _checked(self, codes: np.ndarray) -> tuple[int, ...]:
        size = self.config.codebook_size
        if codes.ndim != 2 or codes.shape[0] != 1:
            raise InputError(f"a clip has codes of shape {codes.shape}; this model has 1 codebook")
        if codes.size and not 0 <= codes.min() <= codes.max() < size:
            raise InputError(f"a clip has codes outside 0..{size - 1}; encode it with this model's speech tokenizer")
        return tuple(codes[0].tolist())

    def _turns(self, text: ArrivingText, lead: tuple[int, ...]) -> Interleaver:
        config = self.config
        return Interleaver(text, lead, config.task_id, config.group_text_tokens, config.group_speech_tokens)

    def _sequence(self, tokens: Sequence[int], codes: Sequence[int]) -> tuple[list[int], list[bool]]:
        """Values of the positions, and whether each is a code: all text before all speech."""
        written = [self.config.sos_id, *tokens, self.config.task_id]
        return [*written, *codes], [False] * len(written) + [True] * len(codes)

    def _prompt(self, values: Sequence[int], is_code: Sequence[bool]) -> SpeechPrompt:
        mask = np.array(is_code, dtype=bool)
        codes = np.array(values, dtype=np.int64)[mask, None]
        tokens = tuple(self.config.speech_id if code else value for value, code in zip(values, is_code, strict=True))
        return SpeechPrompt(tokens, mask, codes)

    def _labels(self, prompt: Prompt, num_lead_codes: int) -> np.ndarray:
        """Each code is said after the position before it, and a request for text after a full group."""
        is_code = prompt.audio_mask
        labels = np.full(len(prompt), IGNORED_LABEL, dtype=np.int64)
        labels[np.flatnonzero(is_code) - 1] = prompt.codes[:, 0]
        labels[:-1][is_code[:-1] & ~is_code[1:]] = self.config.fill
        labels[-1] = self.config.eos
        labels[is_code.cumsum() < num_lead_codes] = IGNORED_LABEL
        return labels

    def _check_length(self, lead: Lead, num_tokens: int, num_frames: int) -> None:
        context = self.config.context_length
        parts = {
            "the sentence": num_tokens + num_frames,
            "the voice's reference": len(lead.codes) + len(lead.tokens) * bool(lead.codes),
            "the instruction": 0 if lead.codes else len(lead.tokens),
        }
        if sum(parts.values()) + 2 <= context:
            return
        longest = max(parts, key=lambda part: parts[part])
        raise PromptTooLongError(
            f"{sum(parts.values())} positions, {num_frames} of them speech to come, exceed the model's context of "
            f"{context}; {longest} takes most ({parts[longest]}), shorten it"
        )


def with_instruction(voice: Voice, instruction: str) -> Voice:
    """The voice, speaking as an instruction in natural language says; also one that is saved with a transcript.

    The published code lets the transcript of a saved speaker take the place of the instruction; here it never does.
    """
    return replace(voice, instruction=instruction)


def without_transcript(voice: Voice) -> Voice:
    """The voice for a text in another language: its sound is kept, what was said in its clips is not continued."""
    return replace(voice, instruction=None, references=tuple(replace(clip, text="") for clip in voice.references))


def without_markup(text: str) -> str:
    """Text without strings that would act as special tokens, such as an end-of-prompt of the user's own."""
    return _MARKUP.sub(" ", text)
