"""Readiness, keys, budgets, refusals, metrics and drain."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import re
import threading
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from parlando.audio.files import write_audio
from parlando.cli.app import build_app as command_line
from parlando.core.errors import (
    AccessError,
    ConfigError,
    FileMissingError,
    ParlandoError,
    RateLimitError,
)
from parlando.serve.app import check_start
from parlando.serve.config import NEVER_EMPTY, Limits, ServeConfig, read_config
from parlando.serve.limits import Budgets, KeyRing, new_key
from parlando.serve.metrics import Registry, StreamStats
from waiting import HANG_SECONDS


def test_ready_only_after_a_real_synthesis(serving):
    with serving() as running:
        assert running.model.asked[0][0] == "Ready."
        running.host.ready = False
        assert running.http.get("/ready").status_code == 503
        assert running.http.get("/health").json() == {"status": "ok"}


def test_a_model_that_cannot_speak_is_never_ready(serving, caplog):
    with serving() as running:
        running.host.ready = False
        running.model.lm.failures = [RuntimeError("no weights")] * 3
        with caplog.at_level(logging.ERROR, "parlando.serve"):
            running.host.warm_up()
        assert running.http.get("/ready").status_code == 503
        assert "could not speak" in caplog.text


def test_keys_are_kept_as_hashes_and_let_in_who_has_one(serving, tmp_path):
    keys = tmp_path / "keys.txt"
    key = new_key(keys, "ann")
    assert key not in keys.read_text()
    assert keys.read_text() == f"ann:{hashlib.sha256(key.encode()).hexdigest()}\n"
    assert keys.stat().st_mode & 0o077 == 0
    with serving(api_keys=str(keys)) as running:
        for headers in ({}, {"authorization": "Bearer nope"}, {"authorization": key}, {"xi-api-key": "é".encode()}):
            response = running.http.get("/v1/models", headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
            assert response.headers["www-authenticate"] == "Bearer"
        assert running.http.get("/v1/models", headers={"xi-api-key": key}).status_code == 200
        assert running.openai(key).audio.speech.create(model="tts-1", voice="ada", input="Hi.").content
        assert running.http.get("/health").status_code == 200


@pytest.mark.parametrize("text", ["ann", "ann:123", "a b:" + "0" * 64, "", "# none"])
def test_a_wrong_file_of_keys_is_refused(tmp_path, text):
    (tmp_path / "keys").write_text(text)
    with pytest.raises(ConfigError, match="--new-key"):
        KeyRing.read(tmp_path / "keys")


def test_a_missing_file_of_keys_and_a_wrong_name_are_refused(tmp_path):
    with pytest.raises(FileMissingError, match="file of API keys"):
        KeyRing.read(tmp_path / "keys")
    with pytest.raises(ConfigError, match="cannot name a key"):
        new_key(tmp_path / "keys", "a:b")
    with pytest.raises(AccessError, match="missing"):
        KeyRing({"a": "0" * 64}).caller(None, "1.2.3.4")


def test_a_budget_refills_by_the_minute():
    now = [0.0]
    budgets = Budgets(Limits(requests_per_minute=2), lambda: now[0])
    budgets.spend("ann")
    budgets.spend("ann")
    budgets.spend("bob")
    with pytest.raises(RateLimitError, match="wait 30.0 s") as refused:
        budgets.spend("ann")
    assert refused.value.retry_after_seconds == 30.0
    now[0] = 30.0
    budgets.spend("ann")


def test_over_the_budget_is_a_429_that_says_when_to_come_again(serving):
    with serving(limits={"requests_per_minute": 1}) as running:
        assert running.say().status_code == 200
        response = running.say()
        assert (response.status_code, response.json()["error"]["type"]) == (429, "rate_limit_error")
        assert 1 <= int(response.headers["retry-after"]) <= 60


def test_a_full_server_refuses_early_and_recovers(serving):
    with serving(limits={"max_streams": 1}) as running:
        running.model.lm.step_seconds = 0.02
        with running.http.stream("POST", "/v1/audio/speech", json={"input": "A long one."}):
            response = running.say()
            assert not running.idle(), "the refusal did not wait for the other"
            assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
            assert int(response.headers["retry-after"]) >= 1
        running.model.lm.step_seconds = 0.0
        running.wait_until(running.idle)
        assert running.say().status_code == 200
        assert 'parlando_refused_total{model="stub"} 1' in running.http.get("/metrics").text


def test_one_caller_cannot_take_everything(serving):
    with serving(limits={"max_streams_per_caller": 1}) as running:
        running.model.lm.step_seconds = 0.02
        with running.http.stream("POST", "/v1/audio/speech", json={"input": "A long one."}):
            assert running.say().status_code == 429
        running.wait_until(running.idle)


def test_metrics_are_prometheus_text(fresh):
    fresh.say()
    fresh.wait_until(fresh.idle)
    response = fresh.http.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'parlando_requests_total{route="/v1/audio/speech",status="200"} 1',
        'parlando_first_audio_seconds_count{model="stub"} 1',
        'parlando_audio_seconds_total{model="stub"} 1',
        'parlando_streams_total{model="stub",finish="end"} 1',
        'parlando_slots_free{model="stub"} 8',
        'parlando_prefix_hits{model="stub"} 0',
        'parlando_prefix_misses{model="stub"} 0',
        'parlando_prefix_bytes{model="stub"} 0',
        'parlando_ready{model="stub"} 1',
    ):
        assert line in response.text.splitlines(), response.text


def test_labels_are_escaped():
    registry = Registry()
    registry.count("x_total", name='a"b\\c\nd')
    assert registry.render() == '# TYPE x_total counter\nx_total{name="a\\"b\\\\c\\nd"} 1\n'


def test_an_underrun_is_what_a_player_had_to_wait():
    now = [0.0]
    stats = StreamStats(lambda: now[0])
    for moment, seconds in ((1.0, 0.5), (1.2, 0.5), (2.5, 1.0)):
        now[0] = moment
        stats.sound(seconds)
    assert stats.first_audio_seconds == 1.0
    assert stats.underrun_seconds == pytest.approx(0.5)
    assert stats.audio_seconds == 2.0


def test_draining_lets_speech_end_and_takes_no_more(serving):
    with serving(drain_seconds=HANG_SECONDS) as running:
        running.model.lm.step_seconds = 0.02
        got = {}
        speaking = threading.Thread(target=lambda: got.update(response=running.say("Hello there.")))
        speaking.start()
        running.wait_until(lambda: not running.idle())
        other = running.connect()
        running.service.draining = True
        assert running.http.get("/ready").status_code == 503
        refused = running.say()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        running.server.should_exit = True
        speaking.join(HANG_SECONDS)
        assert len(got["response"].content) == 2 * 24000
        other.close()


def test_one_server_has_several_models(serving, several_stubs):
    with serving(several_stubs("one", "two")) as running:
        listed = {card["id"] for card in running.http.get("/v1/models").json()["data"]}
        assert {"one", "two"} <= listed
        models = [host.synthesizer.model for host in running.service.hosts.values()]
        before = [len(model.asked) for model in models]
        assert [running.say(model=name).status_code for name in ("two", "one", "two")] == [200] * 3
        assert running.say().status_code == 200, "the first one is the default"
        assert [len(model.asked) - count for model, count in zip(models, before, strict=True)] == [2, 2]
        assert running.http.get("/ready").json()["models"] == {"one": True, "two": True}


def test_rows_are_the_synthesizers_own(serving, several_stubs):
    with serving(several_stubs("one", rows=3)) as running:
        assert running.host.rows == 3
        assert 'parlando_slots{model="one"} 3' in running.http.get("/metrics").text


def test_pages_of_other_origins_may_ask_only_where_that_is_wanted(serving, patient, tmp_path):
    origin = {"origin": "https://example.org"}
    assert "access-control-allow-origin" not in patient.http.get("/v1/models", headers=origin).headers
    keys = tmp_path / "keys"
    new_key(keys, "ann")
    with serving(cors_origins=("https://example.org",), api_keys=str(keys)) as running:
        refused = running.http.get("/v1/models", headers=origin)
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://example.org")
        assert "X-Seed" in refused.headers["access-control-expose-headers"], "or the page could not read it"
        asking = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        assert running.http.options("/v1/audio/speech", headers=asking).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_a_page_of_another_origin_changes_nothing_here(serving, patient, method):
    path = "/v1/audio/voices" if method == "POST" else "/v1/audio/voices/ann"
    refused = patient.http.request(method, path, headers={"origin": "https://example.org"}, files={"audio": b"x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "foreign_page")
    own = patient.http.request(method, path, headers={"origin": patient.url}, files={"audio": b"x"})
    assert own.status_code in (400, 404), "the server's own page is heard"
    with serving(cors_origins=("https://example.org",)) as running:
        allowed = running.http.request(method, path, headers={"origin": "https://example.org"}, files={"audio": b"x"})
        assert allowed.status_code in (400, 404)


REBOUND = "evil.example:50000"


def asked_by_a_page(running, host):
    headers = {"origin": f"http://{host}", "host": host}
    return running.http.post("/v1/audio/speech", headers=headers, json={"input": "Hi."}).status_code


def test_a_page_whose_name_was_made_to_lead_here_is_a_foreign_one(serving, patient, tmp_path):
    assert asked_by_a_page(patient, REBOUND) == 403
    for host in ("localhost:1", "127.0.0.1", "[::1]:1", "a.localhost"):
        assert asked_by_a_page(patient, host) == 200, host
    for host in ("[", "127.0.0.1.evil.example", "192.168.0.1"):
        assert asked_by_a_page(patient, host) == 403, host
    assert patient.http.get("/v1/models", headers={"host": REBOUND}).status_code == 200, "no page asks"
    with serving(cors_origins=(f"http://{REBOUND}",)) as running:
        assert asked_by_a_page(running, REBOUND) == 200
    new_key(tmp_path / "keys", "ann")
    with serving(api_keys=str(tmp_path / "keys")) as running:
        assert asked_by_a_page(running, REBOUND) == 401, "a page does not have the key"


def test_no_page_runs_scripts_of_others_here(patient):
    assert [patient.http.get(path).status_code for path in ("/docs", "/redoc")] == [404, 404]
    assert patient.http.get("/openapi.json").json()["info"]["title"] == "Parlando"


def test_a_config_file_is_strict(tmp_path):
    path = tmp_path / "serve.toml"
    path.write_text('port = 8080\n[voices]\nnova = "slt"\n[limits]\nmax_streams = 4\n')
    config = read_config(path)
    assert (config.port, config.voices, config.limits.max_streams) == (8080, {"nova": "slt"}, 4)
    for text, message in (
        ("prot = 1", "Did you mean 'port'"),
        ("[limits]\nmax_streams = 0", "above zero"),
        ("=", "not TOML"),
        ("port = 99999", "serve.port: 99999 is not a valid port; use 1 to 65535"),
        ("wyoming_port = -1", "serve.wyoming_port: -1 is not a valid port"),
        ("grpc_port = 50000", "serve.grpc_port: 50000 is serve.port too; give each its own"),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            read_config(path)
    with pytest.raises(FileMissingError):
        read_config(tmp_path / "none.toml")


def test_free_ports_may_be_asked_for_by_all_doors():
    assert ServeConfig(port=0, grpc_port=0, wyoming_port=0).port == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"telemetry": "no address"}, "telemetry"),
        ({"preset_folder": "/nowhere"}, "folder of presets"),
        ({"api_keys": "/nowhere"}, "file of API keys"),
        ({"api_keys": "keys", "wyoming_port": 0}, "no keys"),
        ({"voice_folder": __file__}, "not a folder"),
        ({"drain_seconds": -1.0}, "drain_seconds: must be 0 or more"),
        *(({name: ""}, f"serve.{name}: it is empty") for name in NEVER_EMPTY),
    ],
)
def test_what_is_wrong_is_said_before_a_model_is_loaded(tmp_path, monkeypatch, given, message):
    monkeypatch.setattr("parlando.cli.serve.load_all", lambda options: pytest.fail("it was loaded"))
    file = tmp_path / "serve.toml"
    lines = {"port": 0, "voice_folder": str(tmp_path), **given}
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()))
    result = CliRunner().invoke(command_line(), ["serve", "--config", str(file)])
    assert isinstance(result.exception, ParlandoError), result.exception
    assert message in str(result.exception)


def test_a_new_key_begins_a_line_of_its_own(tmp_path):
    keys = tmp_path / "keys"
    keys.write_text(f"ann:{'0' * 64}")
    key = new_key(keys, "bob")
    assert KeyRing.read(keys).caller(key, "1.2.3.4") == "bob"
    other = new_key(keys, "eve")
    assert KeyRing.read(keys).caller(other, "1.2.3.4") == "eve"


def test_voices_are_kept_where_the_user_keeps_data(monkeypatch, tmp_path):
    for given, home in ((str(tmp_path), str(tmp_path)), ("", "~/.local/share"), ("relative", "~/.local/share")):
        monkeypatch.setenv("XDG_DATA_HOME", given)
        assert ServeConfig().voice_folder == f"{home}/parlando/voices"


def test_configured_names_must_lead_somewhere(serving):
    with (
        pytest.raises(ConfigError, match=r"serve.voices.nova: there is no 'adda'. Did you mean 'ada'"),
        serving(voices={"nova": "adda"}),
    ):
        pass
    with pytest.raises(ConfigError, match="serve.models.x"), serving(models={"x": "nowhere"}):
        pass
    with pytest.raises(ConfigError, match="table of names"):
        ServeConfig(voices={"nova": 1})


def test_the_settings_in_the_docs_start_a_server(serving, tmp_path):
    text = (Path(__file__).resolve().parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    (block,) = [each for each in re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S) if "voice_folder" in each]
    file = tmp_path / "serve.toml"
    file.write_text(block, encoding="utf-8")
    config = read_config(file)
    check_start(config)
    named = {line.split("=")[0].strip("# ") for line in block.splitlines() if re.match(r"(# )?\w+ =", line)}
    assert {field.name for field in fields(ServeConfig)} - named == {"voices", "models", "limits"}
    assert {field.name for field in fields(Limits)} <= named
    here = {"port": 0, "grpc_port": 0, "wyoming_port": 0, "host": "127.0.0.1", "voice_folder": str(tmp_path)}
    named_here = {"voices": dict.fromkeys(config.voices, "bob"), "models": dict.fromkeys(config.models, "stub")}
    given = {name: value for name, value in vars(config).items() if name != "limits"}
    with serving(limits=vars(config.limits), **{**given, **here, **named_here}) as running:
        assert running.say(voice="nova").status_code == 200
        assert set(running.service.ports) == {"grpc", "wyoming"}


def test_a_model_without_voices_is_served_and_says_what_to_send(serving, several_stubs, tmp_path):
    (synthesizer,) = several_stubs("voiceless")
    synthesizer.model.voices, synthesizer.model.default_voice = {}, ""
    seconds = np.arange(3 * 24000) / 24000
    recording = tmp_path / "me.wav"
    write_audio(recording, (0.3 * np.sin(2 * np.pi * 220 * seconds) * (seconds % 0.5 < 0.4)).astype(np.float32), 24000)
    sent = {"ref_audio": base64.b64encode(recording.read_bytes()).decode(), "ref_text": "What I say in it."}
    with serving(synthesizer) as running:
        assert running.http.get("/ready").status_code == 200
        assert running.say(**sent).status_code == 200
        refused = running.say()
        assert refused.status_code == 400
        assert "send a recording of one as ref_audio" in refused.json()["error"]["message"]
