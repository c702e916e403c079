"""The flow's checkpoints: the published ``flow.pt`` and our own folder have the same names; loading is strict."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from parlando.core.config import from_mapping, read_json
from parlando.models.cosyvoice.flow import Flow, FlowConfig
from parlando.nn.checkpoint import SkipInitialisation, check_finite, load_strictly, read_tensors, save_tensors

WEIGHTS_FILE, CONFIG_FILE = "flow.safetensors", "flow.json"


def load_flow(path: Path, config: FlowConfig | None = None) -> Flow:
    """The flow of a weights file, ready for inference, on the CPU, in float32; ``config`` None: the published one.

    Raises:
        FileMissingError: there is no such file.
        CheckpointError: tensors are missing, unexpected, misshapen or not finite.
    """
    with SkipInitialisation():
        flow = Flow(config or FlowConfig())
    tensors = {key: tensor.float() for key, tensor in read_tensors(path).items()}
    check_finite(tensors, str(path))
    load_strictly(flow, tensors, str(path))
    return flow.eval()


def load_flow_folder(folder: Path) -> Flow:
    """The flow that `save_flow` wrote, ready for inference.

    Raises:
        FileMissingError: the folder holds none.
        ConfigError: a setting is unknown or does not fit the others.
        CheckpointError: the tensors are not those of the config, or not finite.
    """
    file = folder / CONFIG_FILE
    return load_flow(folder / WEIGHTS_FILE, from_mapping(FlowConfig, read_json(file), str(file)))


def save_flow(flow: Flow, folder: Path) -> None:
    """Write `WEIGHTS_FILE` (float32) and `CONFIG_FILE`."""
    save_tensors({key: tensor.float() for key, tensor in flow.state_dict().items()}, folder / WEIGHTS_FILE)
    (folder / CONFIG_FILE).write_text(json.dumps(asdict(flow.config), indent=2), encoding="utf-8")
