"""The `parlando` command: a table of commands, each imported with its own module, and one way to fail."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import typer

from parlando.core.errors import ParlandoError

COMMANDS = {
    "say": "parlando.cli.say",
    "dialogue": "parlando.cli.dialogue",
    "audiobook": "parlando.cli.audiobook",
    "translate": "parlando.cli.translate",
    "convert": "parlando.cli.convert",
    "voices": "parlando.cli.voices",
    "models": "parlando.cli.models",
    "inspect": "parlando.cli.inspect",
    "quantize": "parlando.cli.quantize",
    "finetune": "parlando.cli.finetune",
    "train": "parlando.cli.train",
    "data": "parlando.cli.data",
    "eval": "parlando.cli.eval",
    "annotate": "parlando.cli.annotate",
    "understand": "parlando.cli.understand",
    "judges": "parlando.cli.judges",
    "bench": "parlando.cli.bench",
    "chat": "parlando.cli.chat",
    "serve": "parlando.cli.serve",
}
USER_ERROR = 2


def build_app() -> typer.Typer:
    """All commands: a module gives either a group ``app`` or a function ``run``."""
    app = typer.Typer(
        name="parlando",
        help='Text in, speech out, offline. Try: parlando say "Hello there." -o hello.wav',
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for name, path in COMMANDS.items():
        if find_spec(path) is None:
            continue
        module = import_module(path)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(module.run)
    app.callback(invoke_without_command=True)(_root)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from parlando.core.install import version

        typer.echo(version())
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Text in, speech out, offline. Try: parlando say "Hello there." -o hello.wav"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its status: 2 and one line for what the caller can mend, 130 after Ctrl-C."""
    try:
        build_app()(args=None if arguments is None else list(arguments))
    except ParlandoError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.strerror or error}: '{error.filename}'" if error.filename else str(error))


def _fail(message: str) -> None:
    print(f"parlando: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
