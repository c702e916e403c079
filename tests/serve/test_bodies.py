"""What all bodies have in common: null is left out, unknown fields are told, and refused only where that is wanted."""

from __future__ import annotations

import json
import logging

import pytest

JSON = {"content-type": "application/json"}
BASES = {
    "/v1/audio/speech": {"input": "Hello."},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hello."}]},
    "/v1/text-to-speech/{voice_id}": {"text": "Hello."},
    "/v1/text-to-speech/{voice_id}/stream": {"text": "Hello."},
    "/v1/text-to-speech/{voice_id}/with-timestamps": {"text": "Hello."},
    "/v1/text-to-speech/{voice_id}/stream/with-timestamps": {"text": "Hello."},
    "/tts": {"text": "Hello."},
}


@pytest.fixture(scope="module")
def interface(patient):
    return patient.http.get("/openapi.json").json()


def json_bodies(interface):
    """The schema of every JSON body, by path."""
    found = {}
    for path, methods in interface["paths"].items():
        content = methods.get("post", {}).get("requestBody", {}).get("content", {})
        if "application/json" in content:
            found[path] = content["application/json"]["schema"]
    return found


def resolved(interface, schema):
    """An object's schema, wherever it is kept; ``None`` for anything else."""
    for each in (schema, *schema.get("anyOf", ())):
        if "$ref" in each:
            return interface["components"]["schemas"][each["$ref"].rpartition("/")[2]]
        if each.get("type") == "object":
            return each
    return None


def with_nulls(interface, schema):
    """For every field that may be left out, an object with null in its place; those of objects inside as well."""
    described = resolved(interface, schema)
    for name, each in described.get("properties", {}).items():
        if name not in described.get("required", ()):
            yield {name: None}
            if (inner := resolved(interface, each)) is not None:
                yield from ({name: value} for value in with_nulls(interface, each) if not inner.get("required"))


def test_null_is_as_left_out_in_every_field_of_every_door(patient, interface):
    schemas = json_bodies(interface)
    assert set(schemas) == set(BASES), "a door without a base here: add one"
    asked = 0
    for path, schema in schemas.items():
        where = path.replace("{voice_id}", "ada")
        plain = patient.http.post(where, json=BASES[path])
        assert plain.status_code == 200
        for change in with_nulls(interface, schema):
            answer = patient.http.post(where, json={**BASES[path], **change})
            assert answer.status_code == 200, (path, change, answer.text)
            assert answer.headers["content-type"] == plain.headers["content-type"]
            assert "x-parlando-warnings" not in answer.headers
            asked += 1
    assert asked > 40


def test_null_is_documented_wherever_a_field_may_be_left_out(interface):
    for name in ("SpeechRequest", "ChatRequest", "SpeechBody", "TtsRequest"):
        described = interface["components"]["schemas"][name]
        for field, each in described["properties"].items():
            nullable = {"type": "null"} in each.get("anyOf", ())
            assert nullable == (field not in described["required"]), (name, field)


def test_null_in_the_place_of_what_is_needed_is_as_left_out_too(patient):
    refused = patient.http.post("/v1/audio/speech", json={"input": None})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input")
    assert "required" in refused.json()["error"]["message"].lower()


@pytest.mark.parametrize("field", ["seed", "top_k"])
def test_minus_one_is_as_left_out(patient, field):
    for path, words in (("/v1/audio/speech", {"input": "Hello."}), ("/tts", {"text": "Hello."})):
        assert patient.http.post(path, json={**words, field: -1}).status_code == 200
    first, second = (patient.say(seed=-1).headers["x-seed"] for _ in range(2))
    assert first != second


@pytest.mark.parametrize("path", BASES)
def test_an_unknown_field_is_told_and_the_rest_is_done(patient, path, caplog):
    caplog.set_level(logging.INFO, logger="parlando.serve")
    where, base = path.replace("{voice_id}", "ada"), BASES[path]
    answer = patient.http.post(where, json={**base, "vioce": "ada"})
    assert answer.status_code == 200, answer.text
    assert "'vioce' is not a field of this request" in answer.headers["x-parlando-warnings"]
    patient.wait_until(lambda: any('"warnings": ["\'vioce\' is not' in message for message in caplog.messages))
    for strict in ({"json": {**base, "vioce": "x", "strict": True}}, {"headers": {"X-Parlando-Strict": "1"}}):
        refused = patient.http.post(where, **{"json": {**base, "vioce": "x"}, **strict})
        assert (refused.status_code, "vioce" in refused.text) == (400, True)
        assert patient.http.post(where, **{"json": base, **strict}).status_code in (200, 400)


def test_a_strict_server_refuses_and_names_the_nearest(serving):
    with serving(strict=True) as running:
        refused = running.say(vioce="ada")
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "vioce")
        assert "Did you mean 'voice'?" in refused.json()["error"]["message"]
        known = {"messages": BASES["/v1/chat/completions"]["messages"], "stop": ["x"], "max_tokens": 9}
        assert running.http.post("/v1/chat/completions", json=known).status_code == 200, "fields of the protocol"
        form = {"tts_text": "Hello.", "spk_id": "ada"}
        assert running.http.post("/inference_sft", data=form).status_code == 200
        assert running.http.post("/inference_sft", data={**form, "speed": "2"}).status_code == 400


def test_unknown_fields_of_objects_inside_are_told_with_their_place(patient):
    message = {"role": "user", "content": [{"type": "text", "text": "Hello.", "cache": 1}], "nmae": "x"}
    answer = patient.http.post("/v1/chat/completions", json={"messages": [message], "stop": ["x"]})
    told = answer.headers["x-parlando-warnings"]
    for said in ("'messages.0.nmae' is not", "'messages.0.content.0.cache' is not", "'stop' has no effect here"):
        assert said in told
    settings = {"text": "Hello.", "voice_settings": {"stability": 0.5, "tempo": 2}}
    told = patient.http.post("/v1/text-to-speech/ada", json=settings).headers["x-parlando-warnings"]
    assert "'voice_settings.stability' has no effect" in told
    assert "'voice_settings.tempo' is not" in told


@pytest.mark.parametrize("name", ["x\r\nSet-Cookie: a=b", "\x00\x1b[31m", "ключ", "鍵", "🎈", "'", "a" * 100_000, ""])
def test_a_name_of_any_kind_makes_a_decent_header(patient, name):
    answer = patient.http.post("/v1/audio/speech", content=json.dumps({"input": "Hello.", name: 1}), headers=JSON)
    assert answer.status_code == 200, answer.text
    told = answer.headers["x-parlando-warnings"]
    assert told.isascii()
    assert told.isprintable()
    assert 0 < len(told) <= 200
    assert "set-cookie" not in answer.headers


def test_thousands_of_unknown_fields_make_a_bounded_header(patient):
    many = {f"field_{number}": number for number in range(5000)}
    told = patient.say(**many).headers["x-parlando-warnings"]
    assert 8 * 40 < len(told) <= 8 * 161


def test_forms_tell_of_unknown_fields_too(patient):
    form = {"tts_text": "Hello.", "spk_id": "ada", "stream": "true"}
    answer = patient.http.post("/inference_sft", data=form)
    assert (answer.status_code, "'stream' is not" in answer.headers["x-parlando-warnings"]) == (200, True)
