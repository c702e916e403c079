"""A model says sentences several times, judges rank the takes, and the best and the worst of each become a pair.

Every sentence's takes are kept, so that a run goes on where it was stopped, and another ranking speaks nothing anew.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from parlando.audio.clip import Clip
from parlando.core.config import NotNegative
from parlando.core.errors import GenerationError, InputError, TextError
from parlando.core.types import Prompt
from parlando.data.preferences import TAKES, Pair, Take, Takes, read_takes, write_pairs, write_takes
from parlando.evaluate.judges.base import Asr, Mos, SpeakerEncoder, unit
from parlando.evaluate.scoring import strict
from parlando.evaluate.suite.run import FAILURES, HOPELESS
from parlando.evaluate.suite.store import clip_digest, digest_of
from parlando.request import WHOLE_SENTENCES, Request, Retries
from parlando.speech import Synthesizer
from parlando.text.language import detect
from parlando.text.reading import AUTOMATIC
from parlando.text.sentences import spoken_sentences

WORDS, SIMILARITY, MARKS = "wer", "similarity", "mos"


@dataclass(frozen=True)
class Ranking:
    """What a take is worth: its weighted scores, and ``unended`` less if it did not end by itself.

    Of the share of words that are heard wrong, no more than all of them count. Two takes that differ by less than
    ``margin`` are as good as each other.
    """

    words: NotNegative = 1.0
    similarity: NotNegative = 1.0
    marks: NotNegative = 0.1
    unended: NotNegative = 1.0
    margin: NotNegative = 0.1

    def worth(self, take: Take) -> float:
        """A number, the higher the better."""
        score = take.scores.get
        heard = self.similarity * score(SIMILARITY, 0.0) + self.marks * score(MARKS, 0.0)
        return heard - self.words * min(score(WORDS, 0.0), 1.0) - self.unended * (not take.ended)

    def pair(self, takes: Takes) -> Pair | str:
        """The best and the worst take, or why there is no pair."""
        if len(takes.takes) < 2:
            return "fewer than two takes"
        ordered = sorted(takes.takes, key=self.worth)
        worst, best = ordered[0], ordered[-1]
        margin = self.worth(best) - self.worth(worst)
        if margin < self.margin or margin == 0:
            return "no clear difference"
        if not best.ended:
            return "none that ended by itself"
        return Pair(takes.sentence, takes.prompt, best, worst, round(margin, 6))


@dataclass(frozen=True)
class TakeJudges:
    """Who judges takes; voices are compared with ``references``, recordings of whoever should be heard."""

    asr: Asr | None = None
    speaker: SpeakerEncoder | None = None
    mos: Mos | None = None
    references: Sequence[Clip] = ()

    @property
    def cards(self) -> tuple[str, ...]:
        """All their cards; nobody compares voices where there is nothing to compare with."""
        speaker = self.speaker if self.references else None
        return tuple(str(judge.card) for judge in (self.asr, speaker, self.mos) if judge is not None)

    @cached_property
    def _wanted(self) -> np.ndarray | None:
        """The voice that should be heard."""
        if self.speaker is None or not self.references:
            return None
        return unit(np.mean([self.speaker.embed(clip) for clip in self.references], axis=0))

    def scores(self, clip: Clip, sentence: str, language: str) -> dict[str, float]:
        """What each of them finds, by name; what is not a number is left out."""
        found: dict[str, float] = {}
        if self.asr is not None:
            found[WORDS] = strict.rates([sentence], [self.asr.hear(clip, language)], [language]).wer
        if self.speaker is not None and self._wanted is not None:
            found[SIMILARITY] = float(self.speaker.embed(clip) @ self._wanted)
        if self.mos is not None:
            found[MARKS] = float(self.mos.rate(clip)[MARKS])
        return {name: round(value, 6) for name, value in found.items() if math.isfinite(value)}


@dataclass(frozen=True)
class Yield:
    """What came of some sentences: pairs, why there is none, and how the takes were on average."""

    sentences: int
    pairs: int
    takes: int
    failed: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    means: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        reasons = "".join(f"; {count} {reason}" for reason, count in self.dropped.items())
        means = ", ".join(f"{name} {value:.3f}" for name, value in self.means.items())
        failed = f", {self.failed} more failed" if self.failed else ""
        return f"{self.pairs} pairs of {self.sentences} sentences{reasons}\n{self.takes} takes{failed}: {means}"


class TakeMaker:
    """Has a model say each sentence ``count`` times, the seeds in a row, and its judges score the takes.

    ``identity`` is what tells the model from others, besides its name; ``options`` are those of `Synthesizer.stream`.
    """

    def __init__(
        self,
        synthesizer: Synthesizer,
        judges: TakeJudges,
        folder: Path,
        count: int,
        identity: str = "",
        **options: Any,
    ) -> None:
        """Raises:
        InputError: there is nobody who judges; or as `Synthesizer.request`.
        """
        if not judges.cards:
            raise InputError("nobody judges the takes; name a judge of words, voices or marks")
        self._synthesizer, self._judges, self._folder = synthesizer, judges, folder
        alone: dict[str, Any] = {"retries": Retries(attempts=1), "schedule": WHOLE_SENTENCES, "seed": 0, **options}
        self.requests = [synthesizer.request(**{**alone, "seed": alone["seed"] + number}) for number in range(count)]
        clips = [clip_digest(clip) for clip in judges.references]
        self._identity = (identity, synthesizer.model.name, judges.cards, clips, _voice_of(self.requests[0]))

    def sentences(self, lines: Iterable[str]) -> list[str]:
        """The sentences of a list, as they are read out, each once.

        Raises:
            TextError: there is none.
        """
        reading = self.requests[0].reading
        found = (sentence for line in lines if line.strip() for sentence, _ in spoken_sentences(line, reading))
        if not (sentences := list(dict.fromkeys(found))):
            raise TextError("the list has no sentence to say; write one a line")
        return sentences

    def takes(self, sentence: str) -> Takes | None:
        """All takes of a sentence, made now unless they are there; None where the model cannot say it.

        Raises:
            MissingDependencyError, CheckpointError, ConfigError: nobody can judge anything.
        """
        try:
            prompt = self._synthesizer.model.prompts.build(sentence, self.requests[0].voice)
        except InputError:
            return None
        path = self._folder / TAKES / f"{self._key(sentence, prompt)}.json"
        if path.is_file():
            return read_takes(path)
        with ThreadPoolExecutor(min(len(self.requests), self._synthesizer.rows), "parlando-take") as pool:
            spoken = list(pool.map(lambda request: self._spoken(sentence, request), self.requests))
        judged = [self._judged(sentence, each) for each in spoken]
        made = tuple(take for take in judged if take is not None)
        takes = Takes(sentence, prompt, made, len(judged) - len(made))
        write_takes(path, takes)
        return takes

    def _spoken(self, sentence: str, request: Request) -> tuple[Take, Clip] | None:
        """A take that nobody has judged; None where the model made nothing of the sentence, or not one of it."""
        as_written = replace(request, reading=replace(request.reading, as_written=True))
        try:
            chunks = list(self._synthesizer.run(sentence, as_written))
        except GenerationError:
            return None
        reports = [chunk.report for chunk in chunks if chunk.report is not None]
        frames = [[frame.token, *frame.codes] for chunk in chunks for frame in chunk.frames if frame.codes]
        samples = np.concatenate([np.zeros(0, np.float32), *(chunk.samples for chunk in chunks)])
        if len(reports) != 1 or not frames or not len(samples):
            return None
        take = Take(request.seed, np.array(frames, dtype=np.int64), reports[0].finish, {})
        return take, Clip(samples, self._synthesizer.sample_rate)

    def _judged(self, sentence: str, spoken: tuple[Take, Clip] | None) -> Take | None:
        if spoken is None:
            return None
        take, clip = spoken
        language = self.requests[0].reading.language
        try:
            scores = self._judges.scores(clip, sentence, detect(sentence) if language == AUTOMATIC else language)
        except HOPELESS:
            raise
        except FAILURES:
            return None
        return replace(take, scores=scores)

    def _key(self, sentence: str, prompt: Prompt) -> str:
        seeds = [request.seed for request in self.requests]
        sampling = {**asdict(self.requests[0].sampling), "seed": None}
        return digest_of(self._identity, sentence, prompt.tokens, prompt.codes.tolist(), seeds, sampling)

    def described(self) -> dict[str, Any]:
        """Who spoke, who judged, and how."""
        request = self.requests[0]
        return {
            "model": self._synthesizer.model.name,
            "identity": self._identity[0],
            "voice": request.voice.name,
            "language": request.reading.language,
            "codebook_sizes": list(self._synthesizer.model.codebook_sizes),
            "judges": list(self._judges.cards),
            "sampling": {**asdict(request.sampling), "seed": request.seed},
            "takes": len(self.requests),
        }


def make_pairs(maker: TakeMaker, lines: Iterable[str], ranking: Ranking, folder: Path) -> Yield:
    """Have every sentence of a list said and judged, and write the pairs; returns what came of it.

    Raises:
        TextError: the list has no sentence.
        MissingDependencyError, CheckpointError, ConfigError: nobody can speak or judge anything.
    """
    sentences = maker.sentences(lines)
    heard = [maker.takes(sentence) for sentence in tqdm(sentences, desc="takes", unit="sentence")]
    found = ["cannot be said" if takes is None else ranking.pair(takes) for takes in heard]
    pairs = [pair for pair in found if isinstance(pair, Pair)]
    takes = [take for each in heard if each is not None for take in each.takes]
    failed = sum(each.failed for each in heard if each is not None)
    dropped = dict(Counter(reason for reason in found if isinstance(reason, str)))
    result = Yield(len(sentences), len(pairs), len(takes), failed, dropped, means(takes))
    write_pairs(folder, pairs, {**maker.described(), "ranking": asdict(ranking), "yield": asdict(result)})
    return result


def means(takes: Sequence[Take]) -> dict[str, float]:
    """Every score's mean over the takes that have it, and the share of those that ended by themselves."""
    names = dict.fromkeys(name for take in takes for name in take.scores)
    scores = {name: [take.scores[name] for take in takes if name in take.scores] for name in names}
    ended = {"ended": float(np.mean([take.ended for take in takes]))} if takes else {}
    return {name: float(np.mean(values)) for name, values in scores.items()} | ended


def _voice_of(request: Request) -> list[object]:
    """What tells a voice from others of its name: what is said of it, and what a model hears in its clips."""
    voice = request.voice
    heard = [part for clip in voice.references for part in (clip.codes, *clip.features.values())]
    told = [voice.name, voice.description, voice.scene, voice.instruction]
    return [*told, *(digest_of(np.asarray(part).tolist()) for part in heard)]
