"""Speech to speech in another language: a recogniser and a translator of your own, with this as their voice."""

from collections.abc import Iterable, Iterator

import torch

import parlando.cosyvoice as torchaudio
from parlando.cosyvoice import CosyVoice2, load_wav

cosyvoice = CosyVoice2("cosyvoice-mini")


def recognised() -> Iterator[str]:
    """Stands for a recogniser that hands out what it has understood so far."""
    yield from ("Guten Morgen.", "Wie geht es Ihnen?")


def translated(pieces: Iterable[str]) -> Iterator[str]:
    """Stands for a translator."""
    english = {"Guten Morgen.": "Good morning. ", "Wie geht es Ihnen?": "How are you today? "}
    yield from (english[piece] for piece in pieces)


source = cosyvoice.inference_sft("Here is my own voice, for as long as it takes.", cosyvoice.list_available_spks()[0])
torchaudio.save("me.wav", next(source)["tts_speech"], cosyvoice.sample_rate)
voice = load_wav("me.wav", 16_000)
# Text that arrives in pieces is spoken while it arrives.
made = cosyvoice.inference_cross_lingual(text=translated(recognised()), prompt_speech_16k=voice, stream=True)
pieces = [piece["tts_speech"] for piece in made]
torchaudio.save("translated.wav", torch.cat(pieces, dim=1), cosyvoice.sample_rate)
