"""One page without a network: hours in and out, what was lost where, plots, and samples to hear of every reason."""

from __future__ import annotations

import base64
import hashlib
import html
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec

import numpy as np

from parlando.annotate.corpus import Corpus
from parlando.annotate.losses import Losses, hours
from parlando.annotate.rows import Row
from parlando.annotate.step import Step
from parlando.annotate.steps.clip import encoded
from parlando.annotate.workspace import Workspace, whole_file
from parlando.audio.clip import Clip
from parlando.data.card import CARD

PAGE = "index.html"
MOST_SAMPLES, SAMPLE_SECONDS = 10, 15.0
"""Of each step, or of what was kept; and how much of each is heard."""
QUIET_PEAK = 0.01
MEASURES = {
    "seconds": "length (s)",
    "mos": "opinion score",
    "snr_decibels": "signal to noise (dB)",
    "bandwidth_hz": "bandwidth (Hz)",
    "decay_seconds": "decay by 60 dB (s)",
    "agreement": "agreement of recognisers",
    "letters_per_second": "letters per second",
    "speaker_pitch_hz": "median pitch (Hz)",
}
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { padding: .3rem .6rem; text-align: left; vertical-align: top; }
tr + tr { border-top: 1px solid #8884; } td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
figure { margin: 1rem 0; } img { max-width: 100%; background: #fff; border-radius: .4rem; }
audio { width: 15rem; height: 2rem; } .dim { opacity: .7; font-size: .85rem; } .bar { background: #48a; height: .6rem; }
"""


def write_page(corpus: Corpus, losses: Losses, steps: Sequence[Step], work: Workspace) -> None:
    """Write the page and the corpus's card."""
    body = "\n".join(_sections(corpus, losses, steps, work))
    title = html.escape(work.out.resolve().name)
    content = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    )
    with whole_file(work.out / PAGE) as partial:
        partial.write_text(content, encoding="utf-8")
    with whole_file(work.out / CARD) as partial:
        partial.write_text(card(losses, steps, work.out.resolve().name), encoding="utf-8")


def card(losses: Losses, steps: Sequence[Step], name: str) -> str:
    """What is in the corpus, who made it, and what was left out, for people."""
    rows = [f"| {each.step} | {each.reason} | {each.rows} | {hours(each.seconds)} |" for each in losses.lost]
    return "\n".join(
        [
            f"# {name}",
            "",
            f"{losses}. Made with `parlando annotate`.",
            "",
            "## Made with",
            "",
            *(f"- {step.signature}: {_told(step)}" for step in steps),
            "",
            "## What is left out",
            "",
            "| step | reason | rows | hours |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _told(step: Step) -> str:
    return ", ".join(f"{name} {value}" for name, value in step.settings.items()) or "nothing to set"


def _sections(corpus: Corpus, losses: Losses, steps: Sequence[Step], work: Workspace) -> Iterator[str]:
    yield f"<p>{html.escape(str(losses))}.</p>"
    yield "<h2>Hours</h2>"
    yield _table(losses)
    if pictures := list(_pictures(corpus)):
        yield "<h2>What was kept</h2>"
        yield from pictures
    yield "<h2>To hear</h2>"
    yield _samples("kept", corpus.kept, work)
    by_step: dict[str, list[Row]] = defaultdict(list)
    for row in corpus.rejected:
        if row.rejected is not None:
            by_step[row.rejected.step].append(row)
    for step in steps:
        if by_step[step.name]:
            yield _samples(f"lost at {step.name}", by_step[step.name], work)


def _table(losses: Losses) -> str:
    whole = max(losses.seconds_in, 1e-9)
    lines = [("in", "", losses.recordings, losses.seconds_in)]
    lines += [(each.step, each.reason, each.rows, each.seconds) for each in losses.lost]
    lines += [("out", "", losses.segments, losses.seconds_out)]
    rows = "\n".join(
        f'<tr><td>{html.escape(step)}</td><td>{html.escape(reason)}</td><td class="n">{count}</td>'
        f'<td class="n">{hours(seconds)}</td><td style="width:40%"><div class="bar" style="width:'
        f'{seconds / whole:.1%}"></div></td></tr>'
        for step, reason, count, seconds in lines
    )
    head = '<tr><th>step</th><th>reason</th><th class="n">rows</th><th class="n">hours</th><th></th></tr>'
    return f"<table>{head}\n{rows}</table>"


def _pictures(corpus: Corpus) -> Iterator[str]:
    """A histogram of every measure there is; none where matplotlib is not installed."""
    values = {name: _values(corpus.kept, name) for name in MEASURES}
    held = {name: each for name, each in values.items() if len(each)}
    if not held or find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    columns = 4
    figure = Figure(figsize=(3 * columns, 2.4 * -(-len(held) // columns)), layout="constrained")
    for place, (name, each) in enumerate(held.items(), 1):
        axes = figure.add_subplot(-(-len(held) // columns), columns, place)
        axes.hist(each, bins=24, color="#4488aa")
        axes.set_title(MEASURES[name], fontsize=9)
        axes.tick_params(labelsize=7)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=90, metadata={"Software": None})
    yield f'<figure><img alt="histograms" src="{_inline(picture.getvalue(), "image/png")}"></figure>'


def _values(rows: Iterable[Row], name: str) -> np.ndarray:
    found = (row.seconds if name == "seconds" else row.facts.get(name) for row in rows)
    return np.array([value for value in found if value is not None], dtype=np.float64)


def _samples(title: str, rows: Sequence[Row], work: Workspace) -> str:
    """Some of the rows, drawn by their names, so that they are the same ones in every run."""
    drawn = sorted(rows, key=lambda row: hashlib.sha256(row.id.encode()).digest())[:MOST_SAMPLES]
    lines = "\n".join(
        f'<tr><td>{_player(row, work)}</td><td>{_words(row)}<div class="dim">{html.escape(row.source)}</div></td></tr>'
        for row in drawn
    )
    return f"<h3>{html.escape(title)} ({len(rows)})</h3><table>{lines}</table>"


def _words(row: Row) -> str:
    facts, told = row.facts, []
    if row.rejected is not None:
        told.append(f"<b>{html.escape(row.rejected.reason)}</b> {html.escape(row.rejected.detail)}")
    told += [html.escape(str(facts[name])) for name in ("text", "scene", "speaker_description") if name in facts]
    return "<br>".join(told)


def _player(row: Row, work: Workspace) -> str:
    audio = row.facts.get("audio")
    if audio is None or not work.audio(audio).is_file():
        return '<span class="dim">nothing to hear</span>'
    start = row.facts.get("start", 0.0)
    clip = work.read(audio, start, start + min(row.seconds, SAMPLE_SECONDS))
    peak = max(float(np.abs(clip.samples).max(initial=0.0)), QUIET_PEAK)
    heard = encoded(Clip(clip.samples * np.float32(0.5 / peak), clip.sample_rate), "opus")
    return f'<audio controls preload="none" src="{_inline(heard, "audio/ogg")}"></audio>'


def _inline(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
