"""The certificate that a server shows, and its key."""

from __future__ import annotations

import ssl
from pathlib import Path

from parlando.core.errors import ConfigError, FileMissingError
from parlando.serve.config import ServeConfig


def check_tls(config: ServeConfig) -> None:
    """Whether certificate and key, where there are any, can be used.

    Raises:
        FileMissingError: one is not there.
        ConfigError: they cannot be read, or do not belong together.
    """
    if config.tls_cert is None or config.tls_key is None:
        return
    cert, key = (Path(path).expanduser() for path in (config.tls_cert, config.tls_key))
    for path, what in ((cert, "TLS certificate"), (key, "TLS key")):
        if not path.is_file():
            raise FileMissingError(path, what)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, _no_password)
    except (ssl.SSLError, OSError) as error:
        what = f"serve.tls_cert '{cert}' and serve.tls_key '{key}' cannot be used ({error})"
        raise ConfigError(f"{what}; give a certificate in PEM and its own key, without a password") from error


def _no_password() -> str:
    """Instead of asking at the terminal."""
    return ""
