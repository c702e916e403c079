"""Score what `parlando annotate` made of a test corpus (make_test.py) against the truth.

    python recipes/annotation/score.py test/truth.jsonl corpus/

Prints a table and writes ``corpus/score.json``.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from parlando.annotate.spoken import spoken_words
from parlando.evaluate.scoring.strict import rates

WITHIN_SECONDS = 0.1
HELD_SHARE = 0.5
"""Of a turn that a segment must cover to hold it."""
FOREIGN, SPEECHLESS = "wrong language", "speechless or damaged"
Table = Mapping[str, Any]


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def overlap(turn: Table, start: float, end: float) -> float:
    return max(0.0, min(turn["end"], end) - max(turn["start"], start))


class Score:
    """Figures of one corpus."""

    def __init__(self, truths: Sequence[Table], corpus: Path) -> None:
        self.truths = {truth["file"]: truth for truth in truths}
        self.kept, self.rejected = read(corpus / "annotations.jsonl"), read(corpus / "rejected.jsonl")
        self.by_source: dict[str, list[Table]] = defaultdict(list)
        for row in self.kept:
            self.by_source[row["source"]].append(row)

    def _turns(self, name: str) -> list[Table]:
        """What is said in a file, or in the one that it is a copy of."""
        truth = self.truths[name]
        return self.truths[truth["of"]]["turns"] if truth["of"] else truth["turns"]

    def held(self, row: Table) -> list[Table]:
        """The turns that a segment holds, by time."""
        start, end = row["facts"]["start"], row["facts"]["end"]
        turns = self._turns(row["source"])
        return [turn for turn in turns if overlap(turn, start, end) > HELD_SHARE * (turn["end"] - turn["start"])]

    def words(self) -> dict[str, float]:
        """WER of the joined transcripts and of each recogniser's, over the segments that hold whole turns."""
        truths, heard = [], defaultdict(list)
        for row in self.kept:
            turns, facts = self.held(row), row["facts"]
            if not turns or any(
                overlap(t, facts["start"], facts["end"]) < 0.95 * (t["end"] - t["start"]) for t in turns
            ):
                continue
            truths.append(" ".join(turn["text"] for turn in turns))
            heard["joined"].append(facts["text"])
            for each in facts["hypotheses"]:
                heard[each["by"]].append(each["text"])
        languages = ["en"] * len(truths)
        found = {name: rates(truths, texts, languages) for name, texts in heard.items() if len(texts) == len(truths)}
        return {name: round(rate.wer, 4) for name, rate in found.items()} | {"segments": len(truths)}

    def purity(self) -> float:
        """Of the kept time in which somebody speaks, how much is by the one whom its speaker mostly is."""
        spoken: dict[str, Counter[str]] = defaultdict(Counter)
        for row in self.kept:
            for turn in self._turns(row["source"]):
                shared = overlap(turn, row["facts"]["start"], row["facts"]["end"])
                spoken[row["facts"]["speaker"]][turn["speaker"]] += shared  # type: ignore[assignment]
        whole = sum(sum(each.values()) for each in spoken.values())
        return round(sum(max(each.values(), default=0.0) for each in spoken.values()) / max(whole, 1e-9), 4)

    def speakers(self) -> dict[str, int]:
        """Speakers that were told apart in files of one and of two, too many and too few."""
        counts = Counter[str]()
        for name, truth in self.truths.items():
            if truth["turns"] and self.by_source[name]:
                real = len({turn["speaker"] for turn in truth["turns"]})
                found = len({row["facts"]["speaker"] for row in self.by_source[name]})
                counts["right" if found == real else "too many" if found > real else "too few"] += 1
        return dict(counts)

    def rejects(self) -> dict[str, Any]:
        """Files that were rejected whole for a right reason, and those that were not: without speech, and foreign."""
        reasons: dict[str, set[str]] = defaultdict(set)
        for row in self.rejected:
            if row["rejected"]["reason"] != "pauses":
                reasons[row["source"]].add(row["rejected"]["reason"])
        copied = any("duplicate" in each for each in reasons.values())
        found: dict[str, Any] = {}
        for truth in (each for each in self.truths.values() if each["reasons"]):
            group = found.setdefault(FOREIGN if FOREIGN in truth["reasons"] else SPEECHLESS, {"files": 0, "wrong": {}})
            group["files"] += 1
            name = truth["file"]
            right = reasons[name] and reasons[name] <= set(truth["reasons"]) and not self.by_source[name]
            # Of two copies the one that comes first by its name is kept, whichever the truth calls the copy.
            if not right and not (copied and "duplicate" in truth["reasons"]):
                group["wrong"][name] = sorted(reasons[name]) or ["kept"]
        return {
            name: {"right": round(1 - len(group["wrong"]) / group["files"], 4), **group}
            for name, group in found.items()
        }

    def lost(self) -> dict[str, float]:
        """Seconds of clean speech, and the share of them that is in no segment; by reason where there is one."""
        same = {truth["of"]: name for name, truth in self.truths.items() if truth["of"]}
        whole = missing = 0.0
        for name, truth in self.truths.items():
            for turn in truth["turns"]:
                rows = self.by_source[name] or self.by_source[same.get(name, name)]
                covered = sum(overlap(turn, row["facts"]["start"], row["facts"]["end"]) for row in rows)
                whole += turn["end"] - turn["start"]
                missing += max(0.0, turn["end"] - turn["start"] - covered)
        return {"seconds": round(whole, 1), "share": round(missing / max(whole, 1e-9), 4)}

    def times(self) -> dict[str, float]:
        """Of the words whose times are known, how many begin, and how many end, within a tenth of a second."""
        begun = ended = count = 0
        for row in self.kept:
            start = row["facts"]["start"]
            said = [word for turn in self.held(row) for word in turn["words"]]
            truth = [(part, a, b) for word, a, b in said for part in spoken_words(word, "en")]
            for (_, a, b), (_, x, y) in _matched(truth, row["facts"]["word_times"]):
                count += 1
                begun += abs(start + x - a) <= WITHIN_SECONDS
                ended += abs(start + y - b) <= WITHIN_SECONDS
        return {"words": count, "starts": round(begun / max(1, count), 4), "ends": round(ended / max(1, count), 4)}

    def all(self) -> dict[str, Any]:
        return {
            "wer": self.words(),
            "speaker_purity": self.purity(),
            "speakers": self.speakers(),
            "rejects": self.rejects(),
            "clean_speech_lost": self.lost(),
            "word_times_within_100_ms": self.times(),
        }


def _matched(truth: Sequence[Sequence[Any]], heard: Sequence[Sequence[Any]]) -> Iterable[tuple[Any, Any]]:
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(None, [each[0] for each in truth], [each[0] for each in heard], autojunk=False)
    for block in matcher.get_matching_blocks():
        yield from ((truth[block.a + n], heard[block.b + n]) for n in range(block.size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth", type=Path)
    parser.add_argument("corpus", type=Path)
    given = parser.parse_args()
    figures = Score(read(given.truth), given.corpus).all()
    (given.corpus / "score.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
