"""Text in words before it is spoken, with rules of one's own for names that are read in a special way."""

import parlando.cosyvoice as torchaudio
from parlando.cosyvoice import CosyVoice2

cosyvoice = CosyVoice2("cosyvoice-mini")
rules = {"Leicester": "Lester", "Worcester": "Wooster"}

text = cosyvoice.text_frontend.normalize("Leicester is 103 miles from London.")
for word, spoken in rules.items():
    text = text.replace(word, spoken)
print(text)
for piece in cosyvoice.inference_sft(text=text, spk_id=cosyvoice.list_available_spks()[0], text_frontend=False):
    torchaudio.save("normalised.wav", piece["tts_speech"], cosyvoice.sample_rate)
