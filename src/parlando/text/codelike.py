"""Whether lines are a program rather than words to be read."""

from __future__ import annotations

import re
from collections.abc import Sequence

from parlando.text.rules import words

_LANGUAGES = words(
    "bash sh shell zsh fish console terminal powershell ps1 cmd bat python py python3 pycon javascript js jsx "
    "typescript ts tsx java c cpp c++ cc h hpp cs csharp c# rust rs go golang ruby rb php perl lua r swift kotlin kt "
    "scala sql html xml svg css scss less json jsonc json5 yaml yml toml ini conf diff patch dockerfile docker "
    "makefile make cmake haskell hs elixir erlang clojure dart julia matlab latex tex vim graphql proto protobuf "
    "regex nginx hcl terraform asm nasm wasm zig vue svelte"
)
_CODE_LINE = re.compile(
    r"""
    ^\s*(?:\$|>>>|\.\.\.|%|\#!|\#include|//|/\*|\*/|<[/!?a-z]|[-+]{3}\s|@@|[\]})]+[;,]*\s*$)
    | ^\s*(?:sudo|pip3?|pipx|uv|npm|npx|yarn|pnpm|curl|wget|docker|kubectl|conda|brew|apt|apt-get|cargo|git|ssh|cd|ls
        |mkdir|export|source|python3?\s+[-\w./]+|node\s+\S+\.\w+|chmod|echo\s["'$])\s
    | ^\s*(?:import\s[\w.]+|from\s[\w.]+\simport\s.*|(?:async\s)?def\s\w+.*:|class\s\w+.*[:{]|return\b.*;?|else:)\s*$
    | ^\s*(?:const|let|var|public|private|static|void|int|float|fn|func|function|package|namespace|using)\s\w.*[;{=()]
    | ^\s*(?:for|while|if|elif|with)\s.*:\s*$
    | ^\s*[\w.\[\]]+(?:\s*:\s*\w+)?\s*(?:[-+*/]?=|:=)\s*\S
    | ^\s*(?:SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|WHERE|FROM)\s
    | ^\s*"[\w-]+"\s*:
    | [;{}]\s*$ | => | -> | == | != | && | \|\| | :: | </ | /> | \w\[\w+\] | \w+\.\w+\( | \w\(\S*\)\s*;?\s*$
    """,
    re.VERBOSE,
)
_WORDS_OF_A_LINE = 4


def is_code(lines: Sequence[str], language: str = "") -> bool:
    """Whether most of the lines look like code; those fenced as code may do so less, unless they are sentences."""
    written = [line for line in lines if line.strip()]
    looks = sum(_CODE_LINE.search(line) is not None for line in written)
    named = language.split(" ")[0].strip("{}.").lower() in _LANGUAGES if language else False
    if not named:
        return 2 * looks > len(written)
    sentences = not looks and all(len(line.split()) >= _WORDS_OF_A_LINE for line in written)
    return not sentences
