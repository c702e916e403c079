"""The TTS plugins of LiveKit and Pipecat as published, against OpenAI's and ElevenLabs' doors.

Their pins of soundfile, soxr and protobuf are older than ours, so they go into an environment of their own: `make
agents` runs this there, and anything else skips it.
"""

from __future__ import annotations

import asyncio
import importlib
import os

import numpy as np
import pytest

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def published(module):
    """A module of theirs; where it must be there, its absence is a failure."""
    if "PARLANDO_AGENTS" in os.environ:
        return importlib.import_module(module)
    return pytest.importorskip(module, exc_type=ImportError)


@pytest.mark.parametrize(
    ("options", "most_extra_seconds"),
    [({}, 0.1), ({"model": "tts-1"}, 0.1), ({"response_format": "opus"}, 0.1), ({"response_format": "pcm"}, 0.0)],
    ids=["sse-mp3", "audio-mp3", "sse-opus", "sse-pcm"],
)
def test_livekits_openai_plugin(stub, options, most_extra_seconds):
    plugin = published("livekit.plugins.openai")

    async def speak():
        tts = plugin.TTS(base_url=f"{stub.url}/v1", api_key="none", voice="onyx", **options)
        stream = tts.synthesize("Hello there.")
        try:
            return [event.frame async for event in stream]
        finally:
            await stream.aclose()
            await tts.aclose()

    frames = asyncio.run(speak())
    assert {(frame.sample_rate, frame.num_channels) for frame in frames} == {(24000, 1)}
    wave = np.concatenate([np.frombuffer(frame.data, "<i2") for frame in frames])
    # Its Opus decoder leaves the last 20 ms out.
    assert 0.97 <= len(wave) / 24000 <= 1.01 + most_extra_seconds
    assert np.abs(wave).max() > 6000
    assert stub.model.asked[-1][1].name == "bob"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_livekits_elevenlabs_plugin_streams_text_over_the_websocket(stub):
    plugin = published("livekit.plugins.elevenlabs")

    async def speak():
        import aiohttp

        async with aiohttp.ClientSession() as session:
            options = {"encoding": "pcm_24000", "language": "en", "http_session": session}
            tts = plugin.TTS(base_url=f"{stub.url}/v1", api_key="none", voice_id="bob", **options)
            async with tts.stream() as stream:
                for piece in ("Hello there, you. ", "And now ", "this is the rest."):
                    stream.push_text(piece)
                stream.end_input()
                frames = [event.frame async for event in stream]
            await tts.aclose()
            return frames

    frames = asyncio.run(speak())
    seconds = sum(frame.duration for frame in frames)
    assert seconds == pytest.approx(2.0, abs=0.15)
    assert stub.model.asked[-1][1].name == "bob"


def test_pipecats_openai_service_hears_the_first_sound_before_the_last(stub):
    service = published("pipecat.services.openai.tts").OpenAITTSService
    stub.model.lm.step_seconds = 0.005

    async def speak():
        tts = service(api_key="none", base_url=f"{stub.url}/v1", settings=service.Settings(voice="nova"))
        tts._sample_rate = 24000
        frames, running = [], []
        async for frame in tts.run_tts("Hello there, this is the first sentence. And this is another one.", "a"):
            frames.append(frame)
            running.append(not stub.idle())
        await tts._client.close()
        return frames, running

    frames, running = asyncio.run(speak())
    assert {type(frame).__name__ for frame in frames} == {"TTSAudioRawFrame"}
    assert sum(len(frame.audio) for frame in frames) / 48000 == pytest.approx(2.1, abs=0.01)
    assert running[0], "the first frame was there while the model still spoke"
    assert stub.model.asked[-1][1].name == "ada"
