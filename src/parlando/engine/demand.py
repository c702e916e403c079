"""Whether a machine makes enough sound for its listeners: an account of what each will need by when."""

from __future__ import annotations

import math
from collections.abc import Iterable

from parlando.engine.playback import Playback


def can_feed(listeners: Iterable[Playback], rate: float) -> bool:
    """Whether ``rate`` seconds of sound in a second suffice for all of them, now and until the last has heard all.

    A listener needs nothing while there is sound left, and then a second of it in a second until there is no more to
    come. It suffices if at no time more was needed than was made. Who takes no more sound needs none.
    """
    changes: list[tuple[float, int]] = []
    for listener in listeners:
        lead = max(0.0, listener.lead_seconds) if listener.begun else 0.0
        if math.isfinite(lead) and listener.remaining_seconds:
            changes += [(lead, 1), (lead + listener.remaining_seconds, -1)]
    needed = last = 0.0
    needing = 0
    for moment, change in sorted(changes):
        if math.isinf(moment):
            break
        needed += needing * (moment - last)
        if needed > rate * moment:
            return False
        needing, last = needing + change, moment
    return needing <= rate
