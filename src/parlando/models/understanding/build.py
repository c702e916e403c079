"""An understanding model, ready to listen."""

from __future__ import annotations

from pathlib import Path

from parlando.models.understanding.listener import Listener
from parlando.models.understanding.weights import load_network
from parlando.nn.placement import Placement


def load_listener(folder: Path, device: str | None = None) -> Listener:
    """The understanding model of a folder, in float32.

    Raises:
        FileMissingError, CheckpointError, ConfigError: there is none, or it is damaged.
    """
    return Listener(load_network(folder, Placement.choose(device, None).device))
