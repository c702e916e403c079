"""The server around a real model of the CosyVoice family, of random weights: every way of asking reaches its mode."""

from __future__ import annotations

import httpx
import numpy as np
import pytest

import parlando
from parlando.audio.files import encode_audio
from parlando.core.types import Voice
from waiting import HANG_SECONDS

RATE = 24000


def recording(seconds=3.0):
    """What passes for speech: a gliding, pulsing tone."""
    time_seconds = np.arange(round(seconds * RATE)) / RATE
    pitch = 140 + 30 * np.sin(2 * np.pi * 0.7 * time_seconds)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    harmonics = sum(np.sin(number * phase) / number for number in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time_seconds), 0.05, None)
    return encode_audio((0.1 * harmonics * syllables).astype(np.float32), RATE)


@pytest.fixture(scope="module")
def family(serving, tiny_cosyvoice_folder):
    with serving(parlando.load(tiny_cosyvoice_folder), limits={"max_first_audio_seconds": 60.0}) as running:
        yield running


@pytest.fixture
def asked(family, monkeypatch):
    """The voices that prompts were made of."""
    voices: list[Voice] = []
    build = type(family.model.prompts).build

    def noted(self, sentence, voice):
        voices.append(voice)
        return build(self, sentence, voice)

    monkeypatch.setattr(type(family.model.prompts), "build", noted)
    return voices


def post(running, path, prompt=False, **fields):
    uploads = {"prompt_wav": ("prompt.wav", recording(), "audio/wav")} if prompt else None
    answer = running.http.post(path, data=fields, files=uploads)
    assert answer.status_code == 200, answer.text
    return np.frombuffer(answer.content, "<i2")


def test_instructions_reach_the_model(family, asked):
    assert family.say("Hello there.", instructions="speak slowly", seed=1).status_code == 200
    assert asked[-1].instruction == "speak slowly"
    assert asked[-1].scene is None


@pytest.mark.parametrize(
    ("path", "fields", "words", "instruction"),
    [
        ("/inference_zero_shot", {"prompt_text": "What is said."}, "What is said.", None),
        ("/inference_cross_lingual", {}, "", None),
        ("/inference_instruct2", {"instruct_text": "whisper"}, "", "whisper"),
    ],
)
def test_a_recording_is_followed_in_every_form(family, asked, path, fields, words, instruction):
    wave = post(family, path, prompt=True, tts_text="Hello there.", **fields)
    assert len(wave) > RATE // 4
    assert (asked[-1].references[0].text, asked[-1].instruction) == (words, instruction)
    assert asked[-1].references[0].features, "the flow's prompt and the speaker's embedding"


def test_a_preset_speaker_follows_instructions(family, asked):
    name = next(iter(family.model.voices))
    assert len(post(family, "/inference_sft", tts_text="Hello there.", spk_id=name)) > RATE // 4
    post(family, "/inference_instruct", tts_text="Hello there.", spk_id=name, instruct_text="be quick")
    assert (asked[-1].name, asked[-1].instruction) == (name, "be quick")


def test_an_uploaded_voice_is_encoded_once_and_says_the_same_after_a_restart(serving, family, tmp_path):
    card = {"name": "ann", "text": "What is said.", "consent": "ann"}
    config = {"voice_folder": str(tmp_path), "limits": {"max_first_audio_seconds": 60.0}}
    with serving(family.host.synthesizer.__class__(family.model), **config) as running:
        files = {"audio_sample": ("a.wav", recording(), "audio/wav")}
        assert running.http.post("/v1/audio/voices", data=card, files=files).status_code == 201
        first = np.frombuffer(running.say("Hello there.", voice="ann", seed=4).content, "<i2").astype(int)
    with serving(family.host.synthesizer.__class__(family.model), **config) as running:
        again = np.frombuffer(running.say("Hello there.", voice="ann", seed=4).content, "<i2").astype(int)
    assert np.abs(again - first).max() <= 4, "chunks end where the clock says, which rounds differently"


def test_speed_is_the_flows_own(family):
    slow, fast = (len(family.say("Hello there.", seed=2, speed=speed).content) for speed in (0.5, 2.0))
    assert slow == pytest.approx(4 * fast, rel=0.1)


def test_elevenlabs_clients_have_recordings_converted(family):
    from elevenlabs.client import ElevenLabs

    name = next(iter(family.model.voices))
    with httpx.Client(timeout=HANG_SECONDS) as http:
        client = ElevenLabs(base_url=family.url, api_key="none", httpx_client=http)
        convert, stream = client.speech_to_speech.convert, client.speech_to_speech.stream
        plain = b"".join(convert(name, audio=recording(), output_format="pcm_24000"))
        assert len(plain) / 2 / RATE == pytest.approx(3.0, abs=0.2)
        settings = '{"speed": 2.0}'
        quick = b"".join(stream(name, audio=recording(), output_format="pcm_16000", voice_settings=settings))
        assert len(quick) / 2 / 16000 == pytest.approx(1.5, abs=0.2)
    raw = (np.sin(np.arange(32000) / 20) * 9000).astype("<i2").tobytes()
    files = {"audio": ("a.pcm", raw, "application/octet-stream")}
    for fields, status in (({"file_format": "pcm_s16le_16"}, 200), ({}, 400), ({"voice_settings": "fast"}, 400)):
        answer = family.http.post(f"/v1/speech-to-speech/{name}", files=files, data=fields)
        assert answer.status_code == status, answer.text[:200]
    family.wait_until(family.idle)
