"""`parlando serve` as people start it; the README's curl and the README's `openai` client against it."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from typer.testing import CliRunner

from parlando.audio.files import read_audio
from parlando.cli.app import build_app
from parlando.cli.serve import (
    PACKAGES,
    ServeOptions,
    check_installed,
    check_ray,
    check_single,
    greeting,
    load_all,
    scale_of,
    settings,
)
from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.core.install import with_extra
from parlando.serve.server import listen
from waiting import HANG_SECONDS

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The command's own process, and its line of greeting."""
    folder = tmp_path_factory.mktemp("home") / "voices"
    line = [sys.executable, "-m", "parlando", "serve", "--port", "0", "--voice-folder", str(folder)]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        hello = json.loads(process.stderr.readline())
        assert process.stdout.readline() == f"open {hello['url']}\n"
        yield process.stdout.readline(), hello
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()
        assert process.wait(HANG_SECONDS) in (0, -signal.SIGTERM), rest
        assert "Traceback" not in rest


@pytest.mark.slow
def test_the_greeting_names_a_request_that_works(started, tmp_path):
    printed, hello = started
    assert (hello["event"], hello["model"]) == ("listening", "higgs-mini")
    subprocess.run(printed, shell=True, cwd=tmp_path, check=True, timeout=60)
    assert read_audio(tmp_path / "hello.mp3").duration_seconds > 0.3


@pytest.mark.slow
def test_the_readmes_curl_and_client_work(started, tmp_path, monkeypatch):
    _, hello = started
    section = README[README.index("## One server") :]
    shells, (python, *_) = (re.findall(rf"^```{kind}\n(.*?)^```", section, re.M | re.S) for kind in ("bash", "python"))
    (curl,) = [line for shell in shells for line in shell.splitlines() if line.startswith("curl")]
    subprocess.run(
        shlex.split(curl.replace("http://127.0.0.1:50000", hello["url"])),
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    monkeypatch.chdir(tmp_path)
    exec(compile(python.replace("http://127.0.0.1:50000", hello["url"]), "README", "exec"), {"__name__": "__main__"})
    made = sorted(path.name for path in tmp_path.iterdir())
    assert len(made) == 2
    assert all(read_audio(tmp_path / name).duration_seconds > 0.3 for name in made)


@pytest.mark.slow
def test_a_sigterm_while_it_speaks_lets_it_end(tmp_path):
    """A real process and a real signal: the whole answer comes, nobody else is let in, and the process leaves."""
    line = [sys.executable, "-m", "parlando", "serve", "--port", "0", "--voice-folder", str(tmp_path), "--rows", "2"]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        url = json.loads(process.stderr.readline())["url"]
        body = {"input": "This is long enough to be told to stop. And so it is.", "response_format": "wav", "seed": 1}
        with httpx.stream("POST", f"{url}/v1/audio/speech", json=body, timeout=60) as answer:
            pieces = answer.iter_bytes()
            received = next(pieces)
            process.send_signal(signal.SIGTERM)
            received += b"".join(pieces)
        (tmp_path / "whole.wav").write_bytes(received)
        assert read_audio(tmp_path / "whole.wav").duration_seconds > 1.5
        assert process.wait(HANG_SECONDS) in (0, -signal.SIGTERM)
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/health")
        assert "Traceback" not in process.stderr.read()


@pytest.mark.slow
def test_a_second_sigterm_ends_it_at_once(tmp_path):
    """Nobody reads what is being spoken, so that without the signal it would wait for as long as it may."""
    (tmp_path / "serve.toml").write_text("drain_seconds = 600.0\n[limits]\nstall_seconds = 600.0\n")
    line = [sys.executable, "-m", "parlando", "serve", "--port", "0", "--voice-folder", str(tmp_path / "voices")]
    line += ["--config", str(tmp_path / "serve.toml")]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as process:
        url = json.loads(process.stderr.readline())["url"]
        body = {"input": "This goes on and on, from one sentence to the next. " * 200, "response_format": "wav"}
        with httpx.stream("POST", f"{url}/v1/audio/speech", json=body, timeout=60) as answer:
            pieces = answer.iter_bytes()
            next(pieces)
            process.send_signal(signal.SIGTERM)
            while not httpx.get(f"{url}/ready", timeout=60).json()["draining"]:
                pass
            process.send_signal(signal.SIGTERM)
            ended = process.wait(HANG_SECONDS)
        assert ended == -signal.SIGTERM
        assert "Traceback" not in process.stderr.read()


def test_several_models_are_served_by_their_names(monkeypatch):
    loaded = []

    def load(self, rows):
        loaded.append((self.model, self.device, rows))
        return SimpleNamespace(model=SimpleNamespace(name=f"the {self.model}"))

    monkeypatch.setattr("parlando.cli.serve.ModelOptions.load", load)
    assert list(load_all(ServeOptions(model=["a", "b"], device="cpu", rows=3))) == ["the a", "the b"]
    assert loaded == [("a", "cpu", 3), ("b", "cpu", 3)]
    assert list(load_all(ServeOptions())) == ["the None"]
    with pytest.raises(ConfigError, match="two models are named 'the a'"):
        load_all(ServeOptions(model=["a", "a"]))


def test_options_go_before_the_file(tmp_path):
    file = tmp_path / "serve.toml"
    file.write_text('port = 1\nhost = "::1"\n[limits]\nmax_streams = 3\nmax_voices = 7\n')
    config = settings(ServeOptions(config=file, port=0, max_streams=5, cors=["https://a.example"]))
    assert (config.port, config.host, config.cors_origins) == (0, "::1", ("https://a.example",))
    assert (config.limits.max_streams, config.limits.max_voices) == (5, 7)


def test_the_greeting_can_be_pasted():
    assert "http://127.0.0.1:8/" in greeting("0.0.0.0", 8, "m", keyed=False)["try"]
    assert "http://[::1]:8/" in greeting("::1", 8, "m", keyed=False)["try"]
    assert "Bearer KEY" in greeting("::1", 8, "m", keyed=True)["try"]
    assert "https://127.0.0.1:8/" in greeting("::", 8, "m", keyed=False, scheme="https")["try"]


def test_a_new_key_is_shown_once(tmp_path):
    keys = tmp_path / "keys"
    result = CliRunner().invoke(build_app(), ["serve", "--api-keys", str(keys), "--new-key", "ann"])
    assert result.exit_code == 0
    assert result.stdout.startswith("pk-")
    assert keys.read_text().startswith("ann:")


def test_help_is_quick_and_says_what_it_does():
    program = "import sys, parlando.cli.app as a\ntry: a.main(['serve', '--help'])\nexcept SystemExit: pass\n"
    program += "assert not {'torch', 'fastapi', 'uvicorn'} & set(sys.modules), sorted(sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert "0.0.0.0 lets others in" in result.stdout


def test_the_readme_installs_what_its_server_needs():
    before, _, _ = README[README.index("## One server") :].partition("parlando serve\n")
    assert "pip install -qq '.[serve]'" in before


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_that_is_missing_is_named_with_the_command_that_brings_it(monkeypatch, name):
    monkeypatch.setattr("parlando.cli.serve.find_spec", lambda wanted: None if wanted == name else wanted)
    with pytest.raises(MissingDependencyError, match=rf"'{name}' is needed .*") as raised:
        check_installed()
    assert str(raised.value).endswith(f"run: {with_extra('serve')}")


def test_replicas_without_ray_are_refused_with_the_command_that_brings_it(monkeypatch):
    monkeypatch.setattr("parlando.cli.serve.find_spec", lambda wanted: None if wanted == "mmh3" else wanted)
    with pytest.raises(MissingDependencyError, match="'ray\\[serve\\]' is needed") as raised:
        check_ray()
    assert str(raised.value).endswith(f"run: {with_extra('ray')}")


def test_what_a_replica_takes_of_a_machine(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    scale = scale_of(ServeOptions(replicas=2, max_replicas=4, device="cpu"))
    assert (scale.least, scale.most, scale.processors, scale.gpus) == (2, 4, 4, 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(ConfigError, match="--replicas: 3 replicas need a GPU each, and 2 are here"):
        scale_of(ServeOptions(replicas=3, device="cuda"))
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    scale = scale_of(ServeOptions(replicas=3, threads=1, device="cuda"))
    assert (scale.least, scale.most, scale.processors, scale.gpus) == (3, 3, 1, 1)
    assert scale_of(ServeOptions(replicas=16, device="cpu")).processors == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"replicas": 3, "max_replicas": 2}, "--max-replicas: 2 is less than --replicas 3"),
        ({"replicas": 2, "device": "cuda:1"}, "--device: cuda:1 is one device"),
    ],
)
def test_replicas_that_cannot_be_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        scale_of(ServeOptions(**given))


def test_only_http_and_websockets_have_one_address_for_replicas():
    with pytest.raises(ConfigError, match="grpc_port: with replicas only HTTP"):
        check_single(settings(ServeOptions(grpc_port=50001)))


def test_more_replicas_belong_to_replicas():
    result = CliRunner().invoke(build_app(), ["serve", "--max-replicas", "2"])
    assert "--max-replicas belongs to --replicas" in str(result.exception)


def test_a_port_that_is_taken_is_one_line():
    with listen("127.0.0.1", 0) as taken, pytest.raises(ConfigError, match="choose another --port"):
        listen("127.0.0.1", taken.getsockname()[1])


@pytest.mark.parametrize("option", ["--grpc-port", "--wyoming-port"])
def test_a_doors_port_that_is_taken_is_named_by_its_option(monkeypatch, tmp_path, option):
    monkeypatch.setattr("parlando.cli.serve.load_all", lambda options: pytest.fail("it was loaded"))
    with listen("127.0.0.1", 0) as taken:
        line = ["serve", "--port", "0", "--voice-folder", str(tmp_path), option, str(taken.getsockname()[1])]
        result = CliRunner().invoke(build_app(), line)
    assert str(result.exception).endswith(f"choose another {option}")


@pytest.mark.parametrize(("host", "warnings"), [("0.0.0.0", 1), ("127.0.0.1", 0)])
def test_a_server_for_everybody_without_keys_says_so(monkeypatch, tmp_path, caplog, host, warnings):
    monkeypatch.setattr("parlando.serve.server.configure_logging", lambda: None)
    monkeypatch.setattr("parlando.serve.server.serve", lambda app, config, opened: opened.close())
    monkeypatch.setattr("parlando.serve.app.build_app", lambda *given: None)
    monkeypatch.setattr("parlando.cli.serve.load_all", lambda options: {"m": None})
    line = ["serve", "--port", "0", "--host", host, "--voice-folder", str(tmp_path)]
    assert CliRunner().invoke(build_app(), line).exit_code == 0
    assert sum("--api-keys" in text for text in caplog.messages) == warnings
