"""Write the table that `parlando data import` reads, for recordings named after the CMU Arctic prompts.

python table.py dataset-voice-kathleen cmu_arctic_prompts.data
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import soundfile

PROMPT = re.compile(r'\(\s*(arctic_[ab]\d{4})\s+"(.*)"\s*\)')
RECORDING = re.compile(r"(arctic_[ab]\d{4}).*\.(?:wav|flac)")


def write_table(folder: Path, prompts: Path, speaker: str = "kathleen") -> int:
    """Write ``metadata.tsv`` into the recordings' folder; returns the number of recordings."""
    texts = dict(PROMPT.findall(prompts.read_text(encoding="utf-8")))
    rows = ["path\tspeaker\tlanguage\ttext\tseconds"]
    for path in sorted(folder.rglob("arctic_*")):
        match = RECORDING.fullmatch(path.name)
        if match and match.group(1) in texts:
            seconds = soundfile.info(path).duration
            rows.append(f"{path.relative_to(folder)}\t{speaker}\ten\t{texts[match.group(1)]}\t{seconds:.3f}")
    (folder / "metadata.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(rows) - 1


if __name__ == "__main__":
    count = write_table(Path(sys.argv[1]), Path(sys.argv[2]))
    print(f"{count} recordings in {sys.argv[1]}/metadata.tsv", file=sys.stderr)
    sys.exit(0 if count else f"no recordings named arctic_… in {sys.argv[1]}; check the folder")
