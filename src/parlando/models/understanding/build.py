"""An understanding model, ready to listen."""

from __future__ import annotations

from pathlib import Path

from parlando.models.locate import locate
from parlando.models.understanding.listener import Listener
from parlando.models.understanding.weights import load_network
from parlando.nn.placement import Placement


def load_listener(model: str | Path, device: str | None = None) -> Listener:
    """The understanding model of a folder, or of a hub id; in float32.

    Raises:
        InputError: there is none of that name.
        FileMissingError, CheckpointError, ConfigError: it is none, or damaged.
    """
    return Listener(load_network(locate(model), Placement.choose(device, None).device))
