"""What an understanding model hears of a segment, from which the caption is composed where it is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from parlando.annotate.models import Understander
from parlando.annotate.rows import Row
from parlando.annotate.step import Lazy, Step
from parlando.annotate.workspace import Workspace


@dataclass(frozen=True)
class Understand(Step):
    """Place, events, emotion, speakers and words, as ``understood``."""

    model: Lazy[Understander]

    name = "understand"

    @property
    def settings(self) -> Mapping[str, Any]:
        """Who hears."""
        return {"model": self.model.card}

    def run(self, row: Row, work: Workspace) -> Iterable[Row]:
        """The row with the answer."""
        clip = work.read(row.facts["audio"], row.facts["start"], row.facts["end"])
        yield self.tell(row, {"understood": asdict(self.model().understand(clip))})
