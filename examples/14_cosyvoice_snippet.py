"""A snippet written for the original interface: only the import lines and the model's path are changed."""

import parlando.cosyvoice as torchaudio
from parlando.cosyvoice import CosyVoice2, load_wav

cosyvoice = CosyVoice2("cosyvoice-mini", load_jit=False, load_trt=False, load_vllm=False, fp16=False)
speaker = cosyvoice.list_available_spks()[0]
words = "This recording stands in for a prompt of your own."
for j in cosyvoice.inference_sft(words, speaker):
    torchaudio.save("prompt.wav", j["tts_speech"], cosyvoice.sample_rate)

prompt_speech_16k = load_wav("prompt.wav", 16000)
for i, j in enumerate(cosyvoice.inference_zero_shot("Good morning, my old friend.", words, prompt_speech_16k)):
    torchaudio.save(f"zero_shot_{i}.wav", j["tts_speech"], cosyvoice.sample_rate)

text = "He told the story again, [laughter] and everybody <strong>knew</strong> how it ended."
for i, j in enumerate(cosyvoice.inference_cross_lingual(text, prompt_speech_16k)):
    torchaudio.save(f"cross_lingual_{i}.wav", j["tts_speech"], cosyvoice.sample_rate)

for i, j in enumerate(cosyvoice.inference_instruct2("The boats are out.", "Speak slowly.", prompt_speech_16k)):
    torchaudio.save(f"instruct_{i}.wav", j["tts_speech"], cosyvoice.sample_rate)
