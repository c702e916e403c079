"""Streaming over text chunks: text arrives in pieces, as from a language model, and audio leaves as it is made."""

import time
from collections.abc import Iterator

import numpy as np

import parlando
from parlando.audio.containers import open_encoder

TEXT = "It is a fine morning. The boats are out already, and the gulls follow them. By noon they will be back."


def text_chunks() -> Iterator[str]:
    """Ten characters at a time."""
    yield from (TEXT[start : start + 10] for start in range(0, len(TEXT), 10))


synthesizer = parlando.load()
encoder = open_encoder("wav", synthesizer.sample_rate)
started, pieces = time.perf_counter(), []
with open("streaming.wav", "wb") as file:
    for chunk in synthesizer.stream(text_chunks(), seed=3):
        if not pieces:
            print(f"first sound after {1000 * (time.perf_counter() - started):.0f} ms")
        pieces.append(chunk.samples)
        file.write(encoder.feed(chunk.samples))
    file.write(encoder.close())
print(f"{len(np.concatenate(pieces)) / synthesizer.sample_rate:.1f} s in {len(pieces)} chunks")
