"""A list in Seed-TTS Eval's layout from recordings of the held-out sentences: prompt, text, and the person who says it.

    python recipes/leaderboard/make_list.py recordings/ 40 leaderboard.lst

Prompts are recordings of other held-out sentences, of 3 to 8 seconds, by turns.
"""

from __future__ import annotations

import sys
from pathlib import Path

from parlando.evaluate.references import held_out_sentences, recorded_utterances

PROMPTS = 5
SHORTEST_SECONDS, LONGEST_SECONDS = 3.0, 8.0


def main(recordings: str, count: int, target: str) -> None:
    sentences = held_out_sentences()
    said = recorded_utterances(Path(recordings), sentences)
    rest = [u for u in said[count:] if SHORTEST_SECONDS <= u.seconds <= LONGEST_SECONDS][:PROMPTS]
    lines = []
    for number, utterance in enumerate(said[:count]):
        prompt = rest[number % len(rest)]
        fields = (f"held-{number:03d}", prompt.text, prompt.audio, utterance.text, utterance.audio)
        lines.append("|".join(fields))
    Path(target).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
