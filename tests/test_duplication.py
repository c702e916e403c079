"""Every algorithm once: of all code lines, at most 2 % stand in an 8-line window that occurs twice."""

from __future__ import annotations

import io
import tokenize
from collections import defaultdict

WINDOW, MOST_SHARE = 8, 0.02
SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


def code_lines(text):
    """(line number, tokens) of every line with code; comments, docstrings, imports and spacing do not count."""
    rows = defaultdict(list)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        whole_line_string = token.type == tokenize.STRING and token.line.strip().startswith(('"""', 'r"""'))
        if token.type not in SKIPPED and not whole_line_string and token.string:
            rows[token.start[0]].append(token.string)
    return [(number, tuple(row)) for number, row in sorted(rows.items()) if row[0] not in {"import", "from"}]


def duplicated(texts):
    """The lines of each text that lie in a window seen more than once, and the number of all code lines."""
    places, total = defaultdict(list), 0
    for name, text in texts.items():
        rows = code_lines(text)
        total += len(rows)
        for start in range(len(rows) - WINDOW + 1):
            window = rows[start : start + WINDOW]
            places[tuple(row for _, row in window)].append([(name, number) for number, _ in window])
    repeated = {line for windows in places.values() if len(windows) > 1 for window in windows for line in window}
    return sorted(repeated), total


def test_at_most_2_percent_of_the_code_is_duplicated(sources):
    repeated, total = duplicated({s.module: s.text for s in sources})
    assert len(repeated) <= MOST_SHARE * total, repeated


def test_a_copied_block_is_found():
    block = "\n".join(f"x{i} = {i}" for i in range(WINDOW)) + "\n"
    repeated, total = duplicated({"a": block, "b": "y = 1\n" + block.replace(" = ", "  =  "), "c": "z = 2\n"})
    assert (len(repeated), total) == (2 * WINDOW, 2 * WINDOW + 2)
