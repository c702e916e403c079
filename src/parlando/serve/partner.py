"""Who answers in this server's conversations: its recogniser, its text model and its manners."""

from __future__ import annotations

from pathlib import Path

from parlando.converse.manner import read_manners
from parlando.converse.partner import Partner
from parlando.converse.stages import Recogniser
from parlando.converse.text_models import text_model
from parlando.serve.config import ServeConfig


def partner_of(config: ServeConfig, recogniser: Recogniser | None) -> Partner:
    """The partner that a configuration describes; nothing is loaded before somebody talks.

    Raises:
        ConfigError: the text model or the manners are wrong.
        FileMissingError: a folder or a file is not there.
    """
    manners = None if config.manners is None else Path(config.manners).expanduser()
    return Partner(text_model(config.text_model, config.text_model_key), recogniser, manners=read_manners(manners))
