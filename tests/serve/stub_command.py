"""`parlando` with the model of plain Python instead of a real one, for whoever starts the server as a command."""

import os
import sys
from pathlib import Path

import parlando.cli.serve as command
from parlando.cli.app import main
from parlando.speech import Synthesizer

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from conftest import StubModel


def load_all(options):
    model = StubModel()
    model.lm.step_seconds = float(os.environ.get("STUB_STEP_SECONDS", "0"))
    return {"stub": Synthesizer(model, options.rows)}


command.load_all = load_all
main()
