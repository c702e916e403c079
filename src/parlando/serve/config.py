"""What a server may be told: plain data with defaults, read from a TOML file where there is one."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError, FileMissingError

MEBIBYTE = 2**20
AROUSAL = "arousal"
HIGHEST_PORT = 65535
NEVER_EMPTY = (
    "host",
    "voice_folder",
    "preset_folder",
    "api_keys",
    "tls_cert",
    "tls_key",
    "recogniser",
    "text_model",
    "telemetry",
)
LOWEST_RATE, HIGHEST_RATE = 8000, 48000


def voice_home() -> str:
    """Where uploaded voices are kept unless somebody says otherwise: the user's folder of data."""
    data = os.environ.get("XDG_DATA_HOME", "")
    return str(Path(data if os.path.isabs(data) else "~/.local/share") / "parlando" / "voices")


@dataclass(frozen=True)
class Limits:
    """What one request may ask for, and when more is refused.

    ``max_streams`` is how many requests may speak or wait at once, in all and per caller; a request whose first
    sound is predicted later than ``max_first_audio_seconds`` is refused at once. A reader who takes nothing for
    ``stall_seconds``, a head that is not there after ``head_seconds``, and a body that is not after ``body_seconds``,
    end their request. Text that was begun over a WebSocket and does not go on for ``pause_seconds`` is spoken as far
    as it came, and holds nothing longer.
    """

    max_body_bytes: int = 25 * MEBIBYTE
    max_input_characters: int = 16_384
    max_audio_seconds: float = 1800.0
    max_streams: int = 64
    max_streams_per_caller: int = 48
    requests_per_minute: int | None = None
    max_first_audio_seconds: float = 10.0
    stall_seconds: float = 30.0
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    pause_seconds: float = 20.0
    max_voices: int = 1000

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise ConfigError(f"limits.{name}: {value} must be above zero")


@dataclass(frozen=True)
class ServeConfig:
    """A whole server.

    ``voices`` and ``models`` give local names to names that clients ask for; what is not named there of OpenAI's
    voices takes one that fits. ``instructions`` hands a request's instructions, if the model takes none, to it as
    the scene, for models that were trained to follow one; ``strict`` refuses requests with unknown fields. A
    ``recogniser`` writes down what is said in recordings that come without words, and in conversations, which a
    ``text_model`` (a URL with ``#model``, a folder, or ``echo``, which says again what was said) answers, with the
    ``text_model_key`` where it needs one, in the manner that ``manners``, a file, has for how they were felt;
    ``feelings`` is ``arousal``, or nothing where nobody listens for them.
    CosyVoice's gRPC, of at most
    ``grpc_max_concurrent`` calls at once, and Home Assistant's Wyoming are spoken on ports of their own, where given;
    ``cosyvoice_rate`` (hertz; 0 is the model's own) is what CosyVoice's clients write their files at. With
    ``tls_cert`` and ``tls_key``, files in PEM, all but Wyoming is encrypted. ``telemetry`` is an OpenTelemetry
    collector that gets a span for each request, such as ``http://127.0.0.1:4318``. Without ``api_keys``, a file of
    hashed keys, everybody may ask.
    """

    host: str = "127.0.0.1"
    port: int = 50000
    grpc_port: int | None = None
    grpc_max_concurrent: int | None = None
    cosyvoice_rate: int = 22_050
    wyoming_port: int | None = None
    voices: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    voice_folder: str = field(default_factory=voice_home)
    preset_folder: str | None = None
    api_keys: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    cors_origins: tuple[str, ...] = ()
    instructions: bool = False
    strict: bool = False
    recogniser: str | None = None
    text_model: str = "echo"
    text_model_key: str | None = None
    manners: str | None = None
    feelings: str | None = None
    drain_seconds: float = 30.0
    telemetry: str | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        for name in NEVER_EMPTY:
            if getattr(self, name) == "":
                raise ConfigError(f"serve.{name}: it is empty; give a value, or leave the setting out")
        if self.feelings not in (None, AROUSAL):
            raise ConfigError(f"serve.feelings: '{self.feelings}' is not known here; use {AROUSAL}, or leave it out")
        if not self.drain_seconds >= 0:
            raise ConfigError(f"serve.drain_seconds: must be 0 or more, got {self.drain_seconds}")
        _check_tables({name: getattr(self, name) for name in ("voices", "models")})
        if self.cosyvoice_rate and not LOWEST_RATE <= self.cosyvoice_rate <= HIGHEST_RATE:
            allowed = f"{LOWEST_RATE} to {HIGHEST_RATE}, or 0"
            raise ConfigError(f"serve.cosyvoice_rate: {self.cosyvoice_rate} is out of range; use {allowed}")
        if self.grpc_max_concurrent is not None and self.grpc_max_concurrent < 1:
            raise ConfigError(f"serve.grpc_max_concurrent: must be at least 1, got {self.grpc_max_concurrent}")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("serve.tls_cert and serve.tls_key belong together; give both, or neither")
        _check_ports({name: getattr(self, name) for name in ("port", "grpc_port", "wyoming_port")})


def _check_tables(tables: Mapping[str, object]) -> None:
    for name, table in tables.items():
        if not isinstance(table, Mapping) or not all(isinstance(value, str) for value in table.values()):
            raise ConfigError(f"serve.{name}: expected a table of names, got {table!r}")


def _check_ports(ports: Mapping[str, int | None]) -> None:
    taken: dict[int, str] = {}
    for name, port in ports.items():
        if port is None:
            continue
        if not 0 <= port <= HIGHEST_PORT:
            raise ConfigError(f"serve.{name}: {port} is not a valid port; use 1 to {HIGHEST_PORT}, or 0 for a free one")
        if port in taken:
            raise ConfigError(f"serve.{name}: {port} is serve.{taken[port]} too; give each its own")
        if port:
            taken[port] = name


def read_config(path: Path) -> ServeConfig:
    """Read a TOML file of `ServeConfig`'s settings.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, or has an unknown key or a wrong value.
    """
    if not path.is_file():
        raise FileMissingError(path, "server config")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return from_mapping(ServeConfig, data, str(path))
