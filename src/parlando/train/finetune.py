"""From somebody's recordings and a model to a model of that voice: checked, packed, encoded, trained, put together.

Every step leaves a file when it is done, so that the same command goes on wherever it was stopped.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parlando.core.config import read_json
from parlando.core.errors import ConfigError, InputError
from parlando.core.folder import write_json
from parlando.data.manifest import Utterance, append_manifest, read_manifest
from parlando.data.recordings import CheckedRecordings, Recording, RecordingCheck
from parlando.data.shards import COMPLETE as PACKED
from parlando.data.shards import pack
from parlando.models.registry import family_of
from parlando.nn.lora import LoRAConfig
from parlando.train.registry import FINE_TUNINGS, load
from parlando.train.shared.start import ADAPTER_FOLDER
from parlando.train.shared.tuning import LM, Step, Tuning

WORK, MANIFEST, SKIPPED, REQUEST = "training", "manifest.jsonl", "skipped.txt", "finetune.json"
FEWEST, HELD_OUT_SHARE, FEWEST_HELD_OUT, MOST_HELD_OUT = 8, 0.1, 2, 10


@dataclass(frozen=True)
class FineTuneRequest:
    """What is asked for: whose recordings, which model's folder, and where the new one goes.

    ``minutes`` are those of training. ``rank`` is that of an adapter which learns instead of the language model.
    """

    recordings: Sequence[Recording]
    check: RecordingCheck
    base: Path
    out: Path
    description: str
    minutes: float
    rank: int | None = None

    @property
    def work(self) -> Path:
        """Where everything on the way is kept."""
        return self.out / WORK


class FineTuning:
    """One fine-tuning, as far as it has come."""

    def __init__(self, request: FineTuneRequest, tell: Callable[[str], None]) -> None:
        """Raises:
        ConfigError: the folder has a fine-tuning of other recordings or settings.
        """
        family = FINE_TUNINGS[family_of(request.base)]
        adapter = None
        if request.rank is not None:
            adapter = LoRAConfig(request.rank, 2.0 * request.rank, targets=load(family.adapted))
        self.request, self.tell, self._family = request, tell, family
        self.tuning = Tuning(
            request.base, request.work, request.check.speaker, request.description, request.minutes, adapter
        )
        request.work.mkdir(parents=True, exist_ok=True)
        self._refuse_another()

    def prepare(self) -> CheckedRecordings | None:
        """Check and pack the recordings; what was found, or None where that was done before.

        Raises:
            InputError: too few of them are usable.
        """
        if (self.tuning.packed / PACKED).is_file():
            return None
        work = self.request.work
        checked = self.request.check.run(self.request.recordings, work)
        (work / SKIPPED).write_text("".join(f"{fault}\n" for fault in checked.faults), encoding="utf-8")
        if len(checked.utterances) < FEWEST:
            raise InputError(f"{checked}; at least {FEWEST} usable ones are needed. See '{work / SKIPPED}'")
        (work / MANIFEST).unlink(missing_ok=True)
        append_manifest(work / MANIFEST, checked.utterances)
        pack([work / MANIFEST], self.tuning.packed, validation=[each.text for each in self.held_out()])
        return checked

    def held_out(self) -> list[Utterance]:
        """The recordings that are not learned from, the same ones every time."""
        spoken = list(read_manifest(self.request.work / MANIFEST))
        count = min(MOST_HELD_OUT, max(FEWEST_HELD_OUT, round(HELD_OUT_SHARE * len(spoken))))
        return sorted(spoken, key=lambda each: hashlib.sha1(each.text.encode()).hexdigest())[:count]

    def train(self) -> bool:
        """Take all steps that are left; False where a signal ended one early (the same command goes on there).

        Raises:
            TrainingError: a loss is no longer a number, or there is not enough memory.
        """
        steps: list[Step] = load(self._family.steps)(self.tuning)
        for number, step in enumerate(steps, 1):
            if step.result.is_file():
                continue
            self.tell(f"step {number} of {len(steps)}: {step.what}")
            if not step.take():
                return False
        return True

    def assemble(self) -> Path:
        """Write the model's folder, with the adapter beside the merged weights if that was asked for; returns it."""
        out, adapter = self.request.out, self.tuning.run(LM) / ADAPTER_FOLDER
        load(self._family.assemble)(self.tuning, out, self._card())
        if adapter.is_dir():
            shutil.copytree(adapter, out / ADAPTER_FOLDER, dirs_exist_ok=True)
        return out

    def _card(self) -> str:
        request = self.request
        spoken = list(read_manifest(request.work / MANIFEST))
        minutes = sum(each.seconds for each in spoken) / 60
        return (
            f"# {request.out.name}\n\n{request.base.name} fine-tuned to one voice: {len(spoken)} recordings, "
            f"{minutes:.1f} minutes, of which {len(self.held_out())} were held out; {request.minutes:g} minutes of "
            "training.\n\n"
            "Licence: that of the recordings and of the model it began with.\n"
        )

    def _refuse_another(self) -> None:
        file, asked = self.request.work / REQUEST, self._asked()
        if not file.is_file():
            write_json(file, asked)
            return
        begun = read_json(file)
        changed = [name for name, value in asked.items() if begun.get(name) != value]
        if changed:
            raise ConfigError(
                f"'{self.request.work}' has a fine-tuning with other {', '.join(changed)}; "
                "delete that folder to begin anew, or name another one with --out"
            )

    def _asked(self) -> dict[str, Any]:
        """What must stay the same for a fine-tuning to go on."""
        request = self.request
        told = "\n".join(f"{each.audio.resolve()}|{each.text}" for each in request.recordings)
        return {
            "recordings": hashlib.sha1(told.encode()).hexdigest(),
            "model": str(request.base.resolve()),
            "minutes": request.minutes,
            "rank": request.rank,
            "description": request.description,
        }
