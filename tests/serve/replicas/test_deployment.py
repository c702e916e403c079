"""Two replicas behind one address, as one command starts them: the contract of one server, and the death of a replica.

The replicas are processes, with the model of plain Python; what they are asked is what other tests ask one server.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from waiting import HANG_SECONDS, wait_until

pytest.importorskip("ray.serve", reason="Ray Serve is not installed (extra ray)")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
HERE, SOURCES = Path(__file__).resolve().parent.parent, Path(__file__).resolve().parents[3] / "src"
BEGIN_SECONDS = 900.0  # on a machine that has much else to do
STEP_SECONDS = 0.01  # four times as fast as speech
LONG_BYTES = 60 * 48_000
NAME = "x-parlando-replica"


def module(name):
    """Another file of tests, whose tests are run here, too."""
    spec = importlib.util.spec_from_file_location(f"contract_{name}", HERE / f"{name}.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


speech, live = module("test_openai_speech"), module("test_live")
client = live.client
test_sse = speech.test_sse_carries_the_same_bytes_and_ends_with_usage
test_speed_and_rate = speech.test_speed_and_sample_rate
test_wrong_requests = speech.test_a_wrong_request_is_refused_in_openais_shape
test_the_official_client = speech.test_the_official_client_raises_its_own_errors
test_wav = speech.test_wav_is_readable_by_the_library
test_recordings = speech.test_a_recording_without_its_words_is_told_in_the_words_of_a_request
test_arriving_text = live.test_audio_comes_while_the_text_is_still_written
test_sentences = live.test_sentences_tell_where_they_are_in_the_audio
test_words = live.test_words_tell_when_they_are_heard_over_all_that_was_written
test_flush = live.test_a_flush_speaks_what_has_no_end_yet_and_says_when_it_was_sent
test_compressed = live.test_compressed_audio_is_a_file_that_decodes
test_wrong_messages = live.test_a_wrong_message_is_told_and_the_connection_goes_on


class Address:
    """The one address, with what tests of one server ask of theirs."""

    wait_until = staticmethod(wait_until)

    def __init__(self, url):
        self.url, self.port = url, int(url.rpartition(":")[2])
        self.http = httpx.Client(base_url=url, timeout=HANG_SECONDS)
        self.model = SimpleNamespace(lm=SimpleNamespace())

    def openai(self, key="none"):
        import openai

        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)

    def say(self, text="Hello.", headers=None, **more):
        body = {"input": text, "response_format": "pcm", **more}
        return self.http.post("/v1/audio/speech", json=body, headers=headers)

    def idle(self):
        return True

    def replica_of(self, session):
        return self.say(headers={"x-session-id": session}).headers[NAME]

    def sessions(self):
        """One session for each replica."""
        found = {}
        for number in range(64):
            found.setdefault(self.replica_of(f"caller {number}"), f"caller {number}")
            if len(found) == 2:
                break
        return found


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replicas")
    line = [sys.executable, str(HERE / "stub_command.py"), "serve", "--replicas", "2", "--port", "0"]
    paths = os.pathsep.join(map(str, (SOURCES, HERE, HERE.parent)))
    settings = {**os.environ, "PYTHONPATH": paths, "STUB_STEP_SECONDS": str(STEP_SECONDS), "RAY_AUTH_MODE": "disabled"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*line, "--voice-folder", str(folder / "voices")],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=settings,
        )
        timer = threading.Timer(BEGIN_SECONDS, process.kill)
        timer.start()
        greeting = process.stdout.readline()
        timer.cancel()
        assert greeting.startswith("open "), (folder / "log").read_text()[-3000:]
        address = Address(greeting.split()[1])
        yield process, address
        address.http.close()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(BEGIN_SECONDS)
        process.stdout.close()


@pytest.fixture(scope="module")
def patient(command):
    return command[1]


@pytest.fixture
def stub(patient):
    return patient


def test_a_voice_stays_with_one_replica_and_both_are_used(patient):
    assert len(patient.sessions()) == 2
    named = {patient.say(voice="ada").headers[NAME] for _ in range(4)}
    assert len(named) == 1
    assert patient.http.get("/ready").json()["ready"]


def test_an_id_is_told_once(patient):
    answer = patient.say(headers={"x-request-id": "mine-1"})
    assert answer.headers.get_list("x-request-id") == ["mine-1"]


class Listener(threading.Thread):
    """Hears one long stream: how many bytes came, and whether it broke off."""

    def __init__(self, address, session):
        super().__init__(daemon=True)
        self.url, self.session = address.url, session
        self.heard, self.broken, self.begun = 0, None, threading.Event()
        self.start()

    def run(self):
        body = {"input": "A long one.", "response_format": "pcm"}
        try:
            with httpx.stream(
                "POST",
                f"{self.url}/v1/audio/speech",
                json=body,
                headers={"x-session-id": self.session},
                timeout=HANG_SECONDS,
            ) as answer:
                for data in answer.iter_bytes():
                    self.heard += len(data)
                    self.begun.set()
        except httpx.HTTPError as error:
            self.broken = error


def replica_processes(root):
    """The processes of replicas that belong to a command."""
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    parents = {int(pid): int(parent) for pid, parent, _ in rows}

    def belongs(pid):
        while pid in parents and pid != root:
            pid = parents[pid]
        return pid == root

    return [
        int(pid)
        for pid, _, name in rows
        if name.startswith("ray::") and "ServeReplica:parlando" in name and belongs(int(pid))
    ]


def test_the_death_of_a_replica_costs_its_own_requests_alone(command):
    process, address = command
    listeners = [Listener(address, session) for session in address.sessions().values()]
    for listener in listeners:
        assert listener.begun.wait(HANG_SECONDS)
    before = replica_processes(process.pid)
    os.kill(before[0], signal.SIGKILL)
    # Newcomers are served meanwhile, whichever replica theirs was.
    for number in range(8):
        answer = address.say(headers={"x-session-id": f"newcomer {number}"})
        assert (answer.status_code, len(answer.content)) == (200, 48_000), answer.text
    for listener in listeners:
        listener.join(HANG_SECONDS)
    assert sorted(listener.heard == LONG_BYTES for listener in listeners) == [False, True]
    assert [listener.broken is None for listener in listeners] == [
        listener.heard == LONG_BYTES for listener in listeners
    ]
    wait_until(lambda: len(set(replica_processes(process.pid)) - set(before)) == 1)


def test_a_stop_lets_what_is_spoken_end(command):
    process, address = command
    listener = Listener(address, "last")
    assert listener.begun.wait(HANG_SECONDS)
    process.send_signal(signal.SIGTERM)
    listener.join(HANG_SECONDS)
    assert (listener.heard, listener.broken) == (LONG_BYTES, None)
    assert process.wait(HANG_SECONDS) in (0, -signal.SIGTERM)
