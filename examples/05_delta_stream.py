"""Token by token through the published interface; each delta also carries the samples that became final with it."""

import asyncio

import numpy as np

from parlando.audio.files import write_audio
from parlando.higgs import ChatMLSample, HiggsAudioServeEngine, Message


async def main() -> None:
    """Collect one reply."""
    serve_engine = HiggsAudioServeEngine("default", "default")
    messages = [Message(role="user", content="Every frame of this sentence arrives by itself.")]
    frames, samples = 0, []
    async for delta in serve_engine.generate_delta_stream(
        ChatMLSample(messages=messages), max_new_tokens=1024, temperature=0.7, force_audio_gen=True, seed=5
    ):
        frames += delta.audio_tokens is not None
        samples.append(delta.audio)
    write_audio("delta_stream.wav", np.concatenate(samples), 24_000)
    print(f"{frames} delayed frames")


asyncio.run(main())
