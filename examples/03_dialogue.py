"""A dialogue of two speakers, through the published interface: the system message says who they are."""

import torch

import parlando.higgs as torchaudio
from parlando.higgs import ChatMLSample, HiggsAudioServeEngine, Message

system_prompt = (
    "You are an AI assistant designed to convert text into speech.\n"
    "If the user's message includes a [SPEAKER*] tag, do not read out the tag and generate speech for the following "
    "text, using the specified voice.\n"
    "If no speaker tag is present, select a suitable voice on your own.\n\n"
    "<|scene_desc_start|>\nSPEAKER0: feminine\nSPEAKER1: masculine\n<|scene_desc_end|>"
)
transcript = """[SPEAKER0] Did you hear the rain last night?
[SPEAKER1] I did. The river is over the lower road again.
[SPEAKER0] Then we should take the bridge.
[SPEAKER1] Yes, and we should leave early."""

serve_engine = HiggsAudioServeEngine("default", "default")
messages = [Message(role="system", content=system_prompt), Message(role="user", content=transcript)]
output = serve_engine.generate(ChatMLSample(messages=messages), max_new_tokens=2048, temperature=0.7, seed=12)
torchaudio.save("dialogue.wav", torch.from_numpy(output.audio)[None, :], output.sampling_rate)
print(f"{len(output.audio) / output.sampling_rate:.1f} s")
