"""Customer service: how strongly a sentence is felt follows a level from 0 to 1; streamed, by the published names."""

import torch

import parlando.cosyvoice as torchaudio
from parlando.cosyvoice import CosyVoice2

cosyvoice = CosyVoice2("cosyvoice-mini", chunk_size=25, max_concurrent=4)


def answer(text, emotion_level=0.5):
    """Emphasis above 0.7, calm below 0.3."""
    if emotion_level > 0.7:
        text = f"<emotion strong>{text}</emotion>"
    manner = "Speak calmly." if emotion_level < 0.3 else "Speak like a friendly agent."
    return cosyvoice.inference_sft(text=text, speaker=cosyvoice.list_available_spks()[0], style=manner, stream=True)


for number, (text, level) in enumerate([("Your parcel arrives today.", 0.5), ("We are so sorry!", 0.9)]):
    pieces = [piece["tts_speech"] for piece in answer(text, level)]
    torchaudio.save(f"answer_{number}.wav", torch.cat(pieces, dim=1), cosyvoice.sample_rate)
