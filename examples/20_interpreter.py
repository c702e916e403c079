"""Real-time translation: turns of a sound that arrives, each spoken in the other language in the speaker's own voice.

A stub stands for the recogniser, and a small phrasebook for the translator: no model for either comes with Parlando.
"""

import numpy as np

import parlando
from parlando.audio.files import write_audio
from parlando.converse.interpreting import Interpreter
from parlando.converse.translators import read_phrasebook


class Ears:
    """Stands for a recogniser of German."""

    def hear(self, clip, language):
        return "Guten Morgen! Wie geht es Ihnen?"


class RealTimeTranslation:
    """Sound in, sound out."""

    def __init__(self, synthesizer):
        self.interpreter = Interpreter(synthesizer, Ears(), read_phrasebook("de", "en"), ("de", "en"))

    def process_stream(self, audio_stream, sample_rate):
        for turn in self.interpreter.turns(audio_stream, sample_rate, seed=1):
            yield from (chunk.samples for chunk in turn.chunks)


with parlando.load("cosyvoice-mini") as synthesizer:
    said = synthesizer.say("Here is my own voice, for as long as it takes to know it.", seed=1)
    whole = np.concatenate([said.samples, np.zeros(said.sample_rate, np.float32)])
    pieces = (whole[at : at + 2400] for at in range(0, len(whole), 2400))
    spoken = [*RealTimeTranslation(synthesizer).process_stream(pieces, said.sample_rate)]
    write_audio("translated.wav", np.concatenate([said.samples, *spoken]), said.sample_rate)
