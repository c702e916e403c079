"""An audiobook: each character has a voice and a style, by the published names of CosyVoice2."""

import torch

import parlando.cosyvoice as torchaudio
from parlando.cosyvoice import CosyVoice2

cosyvoice = CosyVoice2("cosyvoice-mini")
first, *others = cosyvoice.list_available_spks()
characters = {
    "narrator": {"speaker_id": first, "style": "Read slowly."},
    "fox": {"speaker_id": (others or [first])[0], "style": "Speak quickly."},
}
chapter = [("narrator", "The fox came out of the wood."), ("fox", "Who is there?")]

segments = []
for character, text in chapter:
    voice = characters[character]
    made = cosyvoice.inference_sft(text=text, speaker=voice["speaker_id"], style=voice["style"])
    segments += [piece["tts_speech"] for piece in made]
torchaudio.save("chapter.wav", torch.cat(segments, dim=1), cosyvoice.sample_rate)
