"""Names that clients ask for by habit: who answers, and what is told of it."""

from __future__ import annotations

import pytest

from parlando.core.types import Voice
from parlando.serve.names import contrasting, find_model, fitting_voices, model_names, prompt_voices

OURS = {
    "kathleen": Voice("kathleen", "a mature American woman"),
    "slt": Voice("slt", "a young American woman"),
    "rms": Voice("rms", "an American man"),
    "awb": Voice("awb", "a Scottish man"),
    "kal16": Voice("kal16", "a robotic man, flat"),
}


def test_nobody_but_the_robot_is_a_robot():
    openai, higgs = fitting_voices(OURS), prompt_voices(OURS)
    assert "kal16" not in {*openai.values(), *higgs.values()}
    assert openai["echo"] in ("rms", "awb")
    assert openai["verse"] in ("rms", "awb")
    assert (higgs["belinda"], higgs["broom_salesman"]) != (higgs["mabel"], higgs["chadwick"])
    assert higgs["belinda"] in ("kathleen", "slt")
    assert set(fitting_voices({"kal16": OURS["kal16"]}).values()) == {"kal16"}, "where there is nobody else"
    assert fitting_voices({}) == {}


def test_speakers_of_a_dialogue_are_told_apart():
    assert contrasting(OURS, "kathleen") == ["kathleen", "rms", "slt", "awb", "kal16"]
    assert contrasting(OURS, "awb")[:2] == ["awb", "kathleen"]
    assert contrasting(OURS, "somebody's upload")[0] == "somebody's upload"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("tts-1", "small"), ("gpt-4o-mini-tts", "small"), ("gpt-4o-mini-tts-2025-12-15", "small"),
        ("higgs-audio-generation-3B-base", "small"), ("bosonai/higgs-audio-v2-generation-3B-base", "small"),
        ("BosonAI/Higgs-Audio-V2-Generation-3B-Base", "small"), ("CosyVoice2-0.5B", "other"),
        ("FunAudioLLM/CosyVoice2-0.5B", "other"), ("pretrained_models/CosyVoice2-0.5B", "other"),
        ("iic/CosyVoice-300M-SFT/", "other"), ("small", "small"), ("mine", "other"),
        ("gpt-99", None), ("", None), ("/", None), ("CosyVoice9", None),
    ],
)  # fmt: skip
def test_published_names_find_their_family(name, model):
    names = model_names({"mine": "other"}, {"small": "higgs", "another": "higgs", "other": "cosyvoice"})
    assert find_model(names, name) == model


def test_a_published_name_and_a_prompt_voice_speak_and_say_who_does(patient):
    answer = patient.say(model="bosonai/higgs-audio-v2-generation-3B-base", voice="belinda")
    assert answer.status_code == 200
    assert answer.headers["x-parlando-warnings"] == (
        "model 'bosonai/higgs-audio-v2-generation-3B-base' is not loaded here; 'stub' speaks in its place. "
        "voice 'belinda' is not here; 'ada' speaks in its place."
    )
    assert patient.say(voice="Chadwick").status_code == 200
    assert patient.model.asked[-1][1].name == "bob"
    assert "x-parlando-warnings" not in patient.say(model="tts-1", voice="echo").headers
    listed = {voice["name"] for voice in patient.http.get("/v1/audio/voices").json()["voices"]}
    assert "belinda" not in listed


def test_a_configured_name_is_nobody_elses(serving):
    with serving(voices={"belinda": "bob"}) as running:
        answer = running.say(voice="belinda")
        assert (answer.status_code, "x-parlando-warnings" in answer.headers) == (200, False)
        assert running.model.asked[-1][1].name == "bob"


def test_open_webui_finds_models_and_voices(patient):
    models = patient.http.get("/v1/audio/models").json()["models"]
    assert models[0] == {"id": "stub", "name": "stub"}
    assert {"tts-1", "higgs-audio-generation-3B-base"} < {model["id"] for model in models}
    voices = {voice["id"]: voice["name"] for voice in patient.http.get("/v1/audio/voices").json()["voices"]}
    assert voices["ada"] == "ada"
    assert {"alloy", "echo"} < set(voices)


def test_a_model_says_what_it_is(patient):
    card = patient.http.get("/v1/models/stub").json()
    assert "writes no answer of its own" in card["description"]
    assert patient.http.get("/v1/models/tts-1").json()["stands_for"] == "stub"
