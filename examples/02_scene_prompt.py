"""The published Higgs Audio snippet with a scene prompt; only the import lines and the model's name are changed."""

import torch

import parlando.higgs as torchaudio
from parlando.higgs import ChatMLSample, HiggsAudioResponse, HiggsAudioServeEngine, Message

system_prompt = (
    "Generate audio following instruction.\n\n"
    "<|scene_desc_start|>\nAudio is recorded from a quiet room.\n<|scene_desc_end|>"
)
messages = [
    Message(role="system", content=system_prompt),
    Message(
        role="user", content="The sun rises in the east. This simple fact has been observed for thousands of years."
    ),
]
serve_engine = HiggsAudioServeEngine("default", "default", device="cuda" if torch.cuda.is_available() else "cpu")
output: HiggsAudioResponse = serve_engine.generate(
    chat_ml_sample=ChatMLSample(messages=messages),
    max_new_tokens=1024,
    temperature=0.3,
    top_p=0.95,
    top_k=50,
    stop_strings=["<|end_of_text|>", "<|eot_id|>"],
)
torchaudio.save("scene_prompt.wav", torch.from_numpy(output.audio)[None, :], output.sampling_rate)
print(output.usage)
