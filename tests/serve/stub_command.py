"""`parlando` with the model of plain Python instead of a real one, for whoever starts the server as a command."""

import sys
from pathlib import Path

import parlando.cli.serve as command
from parlando.cli.app import main
from parlando.speech import Synthesizer

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
from conftest import StubModel

command.load_all = lambda options: {"stub": Synthesizer(StubModel(), options.rows)}
main()
