"""`parlando serve`: the server, from one command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parlando.cli.options import ModelOptions, command
from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.core.install import with_extra

if TYPE_CHECKING:
    from ray.serve import Application

    from parlando.serve.config import ServeConfig
    from parlando.serve.replicas.load import Scale
    from parlando.speech import Synthesizer

PACKAGES = ("av", "fastapi", "httptools", "pydantic", "python_multipart", "starlette", "uvicorn", "websockets")


@dataclass(frozen=True, kw_only=True)
class ServeOptions(ModelOptions):
    """Options of `parlando serve`."""

    model: Annotated[
        list[str] | None,
        typer.Option(help="Packaged name, folder or hub id; may be repeated, the first is the default."),
    ] = None  # type: ignore[assignment]
    rows: Annotated[int, typer.Option(help="Requests of a model that share a batch.", min=1)] = 8
    replicas: Annotated[
        int | None, typer.Option(help="So many servers behind the one address, by Ray Serve (extra ray).", min=1)
    ] = None
    max_replicas: Annotated[
        int | None, typer.Option(help="With --replicas: up to so many while listeners have to wait.", min=1)
    ] = None
    host: Annotated[str | None, typer.Option(help="Address; 0.0.0.0 lets others in. Default: 127.0.0.1")] = None
    port: Annotated[int | None, typer.Option(help="Default: 50000; 0 takes a free one.", min=0, max=65535)] = None
    grpc_port: Annotated[int | None, typer.Option(help="Speak CosyVoice's gRPC here too.", min=0, max=65535)] = None
    grpc_max_concurrent: Annotated[
        int | None, typer.Option(help="Most gRPC calls at once, as --max_conc of CosyVoice's server.", min=1)
    ] = None
    cosyvoice_rate: Annotated[
        int | None,
        typer.Option(help="Hertz for CosyVoice's clients; 0 is the model's own. Default: 22050, as they write."),
    ] = None
    wyoming_port: Annotated[
        int | None, typer.Option(help="Speak Home Assistant's Wyoming here too; its own is 10200.", min=0, max=65535)
    ] = None
    config: Annotated[Path | None, typer.Option(help="TOML file of settings; see docs/serving.md")] = None
    voice_folder: Annotated[Path | None, typer.Option(help="Where uploaded voices are kept.")] = None
    presets: Annotated[Path | None, typer.Option(help="Folder of NAME.wav with NAME.txt, or voice files.")] = None
    api_keys: Annotated[Path | None, typer.Option(help="File of hashed API keys; without it no key is required.")] = (
        None
    )
    new_key: Annotated[str | None, typer.Option(help="Add a key of this name to --api-keys, print it, and end.")] = None
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate in PEM, for https and wss; with --tls-key.")] = None
    tls_key: Annotated[Path | None, typer.Option(help="Its key, without a password.")] = None
    recogniser: Annotated[
        str | None,
        typer.Option(help="Writes down recordings without words: pocketsphinx, or faster-whisper[:MODEL]."),
    ] = None
    text_model: Annotated[
        str | None, typer.Option(help="Answers in conversations: a URL with #model, a folder, or echo. Default: echo")
    ] = None
    text_model_key: Annotated[
        str | None, typer.Option(envvar="PARLANDO_TEXT_MODEL_KEY", help="The key that its URL asks for.")
    ] = None
    manners: Annotated[Path | None, typer.Option(help="TOML file: in which manner to answer which emotion.")] = None
    feelings: Annotated[str | None, typer.Option(help="Who hears how something is said: arousal. Default: nobody")] = (
        None
    )
    strict: Annotated[bool, typer.Option("--strict", help="Refuse requests with unknown fields.")] = False
    max_streams: Annotated[
        int | None, typer.Option(help="Maximum number of requests that run or wait at once.", min=1)
    ] = None
    telemetry: Annotated[str | None, typer.Option(help="OpenTelemetry collector, as http://127.0.0.1:4318.")] = None
    cors: Annotated[
        list[str] | None, typer.Option(help="Allow requests from web pages of this origin; may be repeated.")
    ] = None


@command(ServeOptions)
def run(options: ServeOptions) -> None:
    """Serve speech over HTTP, WebSocket, gRPC and Wyoming.

    Routes and messages are those of OpenAI, ElevenLabs and CosyVoice; each has its formats of audio (docs/serving.md).

    Example: parlando serve --port 50000
    """
    if options.new_key is not None:
        _make_key(options.api_keys or Path("api-keys.txt"), options.new_key)
        return
    check_installed()
    if options.replicas is not None:
        run_replicas(options)
        return
    if options.max_replicas is not None:
        raise ConfigError("--max-replicas belongs to --replicas; give how many there are at least, too")
    from parlando.serve.app import build_app, check_start
    from parlando.serve.server import configure_logging, listen, serve

    config = settings(options)
    check_start(config)
    for option, port in (("--grpc-port", config.grpc_port), ("--wyoming-port", config.wyoming_port)):
        if port is not None:
            listen(config.host, port, option=option).close()
    opened = listen(config.host, config.port, config.limits.stall_seconds)
    synthesizers = load_all(options)
    app = build_app(synthesizers, config)
    configure_logging()
    host, port = opened.getsockname()[:2]
    announce(config, host, port, synthesizers)
    serve(app, config, opened)


def announce(config: ServeConfig, host: str, port: int, models: Iterable[str]) -> None:
    """Say where the server listens, and who may ask."""
    from parlando.serve.origins import is_local
    from parlando.serve.server import log

    hello = greeting(
        host,
        port,
        ", ".join(models),
        keyed=config.api_keys is not None,
        scheme="https" if config.tls_cert else "http",
    )
    log.info(json.dumps(hello))
    if config.api_keys is None and not is_local(config.host):
        log.warning("no API keys: anyone who can reach %s:%d can use this server; add --api-keys FILE", host, port)
    typer.echo(f"open {hello['url']}\n{hello['try']}")


def run_replicas(options: ServeOptions) -> None:
    """Serve with several replicas until a signal; the second one ends at once.

    Raises:
        MissingDependencyError: Ray Serve is not installed.
        ConfigError: an option or setting is for a single server.
    """
    check_ray()
    from parlando.serve.app import check_start
    from parlando.serve.replicas.deployment import build_application, start, stop, until_signal
    from parlando.serve.server import configure_logging, listen

    config, scale = settings(options), scale_of(options)
    check_single(config)
    check_start(config)
    with listen(config.host, config.port) as opened:
        host, port = opened.getsockname()[:2]
    configure_logging()
    try:
        start(build_application(partial(load_all, options), config, scale), config, scale, port)
        announce(config, host, port, options.model or ["the built-in model"])
        until_signal()
    finally:
        stop()


def application(args: Mapping[str, Any]) -> Application:
    """What ``serve run`` and ``serve deploy`` build, from options of `parlando serve` by name (deploy/ray.yaml).

    Raises:
        ConfigError: there is no such option, or one is for a single server.
    """
    from parlando.serve.replicas.deployment import build_application

    options = from_mapping(ServeOptions, args, "args")
    config = settings(options)
    check_single(config)
    return build_application(partial(load_all, options), config, scale_of(options))


def scale_of(options: ServeOptions) -> Scale:
    """How many replicas there are to be, and what of this machine each takes.

    Raises:
        ConfigError: there are fewer at most than at least, or the device is one that only one of them can have.
    """
    import torch

    from parlando.serve.replicas.deployment import OTHERS
    from parlando.serve.replicas.load import Scale

    least = options.replicas or 1
    most = options.max_replicas or least
    if most < least:
        raise ConfigError(f"--max-replicas: {most} is less than --replicas {least}; give at least as many")
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    if ":" in device:
        raise ConfigError(f"--device: {device} is one device, and each replica needs its own; give its kind alone")
    if device not in ("cpu", "cuda"):
        raise ConfigError(f"--device: replicas compute on cpu or cuda, not on {device}; choose one of them")
    if device == "cuda" and OTHERS not in os.environ and most > torch.cuda.device_count():
        raise ConfigError(
            f"--replicas: {most} replicas need a GPU each, and {torch.cuda.device_count()} are here; ask for fewer, or "
            f"join a cluster ({OTHERS})"
        )
    threads = options.threads or max(1, (os.cpu_count() or 1) // least)
    return Scale(least, most, processors=threads, gpus=0 if device == "cpu" else 1)


def check_single(config: ServeConfig) -> None:
    """Whether several servers can have these settings.

    Raises:
        ConfigError: there is a port that only one of them could open.
    """
    for name in ("grpc_port", "wyoming_port"):
        if getattr(config, name) is not None:
            raise ConfigError(f"serve.{name}: with replicas only HTTP and WebSockets have one address; leave it out")


def check_ray() -> None:
    """Whether Ray Serve is there, with all that it needs.

    Raises:
        MissingDependencyError: it is not.
    """
    for name in ("ray", "mmh3"):
        if find_spec(name) is None:
            raise MissingDependencyError("ray[serve]", with_extra("ray"))


def check_installed() -> None:
    """Whether the packages of the extra are there.

    Raises:
        MissingDependencyError: one is not.
    """
    for name in PACKAGES:
        if find_spec(name) is None:
            raise MissingDependencyError(name, with_extra("serve"))


def load_all(options: ServeOptions) -> dict[str, Synthesizer]:
    """Every model that was asked for, by its name.

    Raises:
        ConfigError: two of them have the same name.
    """
    synthesizers: dict[str, Synthesizer] = {}
    names: Sequence[str | None] = options.model or [None]
    for model in names:
        given = {field.name: getattr(options, field.name) for field in fields(ModelOptions)}
        synthesizer = ModelOptions(**{**given, "model": model}).load(options.rows)
        name = synthesizer.model.name
        if name in synthesizers:
            raise ConfigError(f"two models are named '{name}'; give each once")
        synthesizers[name] = synthesizer
    return synthesizers


def settings(options: ServeOptions) -> ServeConfig:
    """The file's settings, with those of the command line instead where they are given."""
    from parlando.serve.config import ServeConfig, read_config

    config = ServeConfig() if options.config is None else read_config(options.config)
    given: dict[str, Any] = {
        "host": options.host,
        "port": options.port,
        "grpc_port": options.grpc_port,
        "grpc_max_concurrent": options.grpc_max_concurrent,
        "cosyvoice_rate": options.cosyvoice_rate,
        "wyoming_port": options.wyoming_port,
        "tls_cert": options.tls_cert and str(options.tls_cert),
        "tls_key": options.tls_key and str(options.tls_key),
        "recogniser": options.recogniser,
        "text_model": options.text_model,
        "text_model_key": options.text_model_key,
        "manners": options.manners and str(options.manners),
        "feelings": options.feelings,
        "strict": options.strict or None,
        "voice_folder": options.voice_folder and str(options.voice_folder),
        "preset_folder": options.presets and str(options.presets),
        "api_keys": options.api_keys and str(options.api_keys),
        "telemetry": options.telemetry,
        "cors_origins": tuple(options.cors) if options.cors else None,
        "limits": options.max_streams and replace(config.limits, max_streams=options.max_streams),
    }
    return replace(config, **{name: value for name, value in given.items() if value is not None})


def greeting(host: str, port: int, model: str, *, keyed: bool, scheme: str = "http") -> dict[str, str]:
    """The line at the start: where the server listens, and a request that works."""
    reached = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    base = f"{scheme}://[{reached}]:{port}" if ":" in reached else f"{scheme}://{reached}:{port}"
    key = "-H 'Authorization: Bearer KEY' " if keyed else ""
    body = '{"input": "Hello there."}'
    curl = f"curl -s {base}/v1/audio/speech {key}-H 'Content-Type: application/json' -d '{body}' -o hello.mp3"
    return {"event": "listening", "url": base, "model": model, "try": curl}


def _make_key(path: Path, name: str) -> None:
    from parlando.serve.limits import new_key

    typer.echo(new_key(path, name))
    typer.echo(f"kept as a hash in '{path}'; this is the only time the key is shown", err=True)
