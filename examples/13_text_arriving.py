"""Text that arrives word by word, as from a language model: speech begins before the sentence has ended."""

import time
from collections.abc import Iterator

import numpy as np

import parlando
from parlando.audio.files import write_audio

TEXT = "It is a fine morning, the boats are out already, and the gulls follow them. By noon they will be back."


def arriving() -> Iterator[str]:
    """A word at a time."""
    for word in TEXT.split():
        time.sleep(0.01)
        print(word, end=" ", flush=True)
        yield word + " "


synthesizer = parlando.load("cosyvoice-mini")
pieces = []
for chunk in synthesizer.stream(arriving(), seed=6):
    if not pieces:
        print("(first sound)", end=" ")
    pieces.append(chunk.samples)
write_audio("arriving.wav", np.concatenate(pieces), synthesizer.sample_rate)
