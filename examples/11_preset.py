"""Preset speakers, each at three tempos: the pitch stays, also while streaming."""

import numpy as np

import parlando
from parlando.audio.files import write_audio

synthesizer = parlando.load("cosyvoice-mini")
for name, voice in synthesizer.voices.items():
    print(f"{name}: {voice.description}")
    for speed in (0.5, 1.0, 2.0):
        chunks = synthesizer.stream("By noon they will be back.", name, speed=speed, seed=4)
        samples = np.concatenate([chunk.samples for chunk in chunks])
        write_audio(f"{name}_{speed:g}.wav", samples, synthesizer.sample_rate)
