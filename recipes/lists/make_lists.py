"""Makes the packaged evaluation lists that a rule makes: ESD pairs, latency texts and dialogues, all by fixed seeds.

    python recipes/lists/make_lists.py

The lists that people wrote (seed_tts_en, robust_en, emergent_en …) are not touched.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice

from parlando.evaluate.load.prompts import prompts
from parlando.evaluate.protocols.esd import COLUMNS, draw_list
from parlando.evaluate.suite.items import PACKAGED

SEED = 2026
LATENCY_TEXTS = 50
SAMPLES = (
    ("clip_a1.flac", "The lighthouse keeper wrote down every ship that passed before the fog came in."),
    ("clip_b1.flac", "Most of the orchard had been planted by his grandfather after the long winter."),
)
TOPICS = (
    ("the harbour", "the ferry was late again", "the tide is higher than last year"),
    ("the new bakery", "they sell bread with walnuts now", "the queue goes around the corner"),
    ("your garden", "the tomatoes came early", "something has eaten all the lettuce"),
    ("the concert", "the drummer broke a stick", "nobody wanted to go home afterwards"),
    ("the library", "it stays open until nine", "they found a map from the old town"),
    ("your bicycle", "the chain makes a strange noise", "I bought a second light for the winter"),
    ("the weather", "the wind took the neighbour's umbrella", "they say it will snow on Thursday"),
    ("the train", "we had a window all to ourselves", "the heating was far too warm"),
    ("the dog", "he learned to open the kitchen door", "he is afraid of the vacuum cleaner"),
    ("the exam", "the last question was about rivers", "we get the results on Friday"),
)
OPENINGS = ("Did you hear about {0}?", "Tell me about {0}.", "I keep thinking about {0}.", "What happened with {0}?")
ANSWERS = ("Well, {1}.", "To be honest, {1}.", "Oh, {1}, and it surprised me.", "You know, {1}, I think.")
FOLLOWS = ("Really? And {2}, they say.", "I believe you, because {2}.", "That explains why {2}.", "And besides, {2}.")
REMARKS = (
    "I would not have thought so at all.", "My brother said the same thing yesterday.",
    "Let us go and see for ourselves tomorrow.", "It was different when we were children.",
    "You should write that down for the others.", "I can come with you if you like.",
    "That is the best news I have heard all week.", "We ought to be more careful next time.",
)  # fmt: skip
CLOSINGS = ("See you tomorrow, then.", "Good, let us leave it at that.", "Fine, I will call you in the evening.")


def dialogue(chance: random.Random, turns: int) -> list[tuple[int, str]]:
    """Two people who take turns about one topic."""
    topic = chance.choice(TOPICS)
    shapes = [OPENINGS, ANSWERS, FOLLOWS]
    lines = [chance.choice(shape).format(*topic) for shape in shapes]
    lines += chance.sample(REMARKS, max(turns - len(lines) - 1, 0))
    return [(number % 2, line) for number, line in enumerate([*lines[: turns - 1], chance.choice(CLOSINGS)])]


def dialogues(seed: int) -> Iterator[dict[str, object]]:
    """Conversations with references of 6 to 10 turns, small talk of 4 to 6 without and with references."""
    chance = random.Random(seed)
    for subset, count, turns, with_samples in (
        ("conversation", 40, (6, 10), True), ("small talk", 20, (4, 6), False), ("small talk, ref", 20, (4, 5), True),
    ):  # fmt: skip
        for number in range(count):
            fields: dict[str, object] = {"id": f"{subset.replace(' ', '-').replace(',', '')}-{number:02d}"}
            fields |= {"subset": subset, "turns": dialogue(chance, chance.randint(*turns))}
            yield {**fields, "samples": SAMPLES} if with_samples else fields


def main() -> None:
    rows = ["\t".join(COLUMNS), *("\t".join(row) for row in draw_list(SEED))]
    (PACKAGED / "esd.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    texts = islice(prompts(SEED, clauses=(1, 2)), LATENCY_TEXTS)
    lines = [f"latency-{number:02d}|{text}" for number, text in enumerate(texts)]
    (PACKAGED / "latency_en.lst").write_text("\n".join(lines) + "\n", encoding="utf-8")
    # By number, so that the first few are of all subsets.
    ordered = sorted(dialogues(SEED), key=lambda fields: str(fields["id"])[-2:])
    talks = [json.dumps(fields, ensure_ascii=False) for fields in ordered]
    (PACKAGED / "dialogue_en.jsonl").write_text("\n".join(talks) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
