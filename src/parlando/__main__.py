"""`python -m parlando` is the `parlando` command."""

from __future__ import annotations

from parlando.cli.app import main

main()
