"""A text model at a URL: what it writes, and every way in which it fails."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from openai_stub import service
from parlando.converse.chat_service import ChatService
from parlando.converse.stages import Message
from parlando.core.errors import ConfigError, TextModelError
from waiting import HANG_SECONDS

ASKED = [Message("system", "Be brief."), Message("user", "The time?")]


def event(**told):
    return f"data: {json.dumps(told)}\n\n"


def delta(words):
    return event(choices=[{"delta": {"content": words}}])


def answer_of(body, status=200, claimed=None):
    return lambda path, sent, headers: (status, body.encode(), claimed)


def read(body, **how):
    with service(answer_of(body, **how)) as url:
        return list(ChatService(url).reply(ASKED))


def test_words_are_read_as_they_are_written():
    body = event(choices=[{"delta": {"role": "assistant"}}]) + delta("It is ") + ": ping\n\n" + delta("noon.")
    assert read(body + event(choices=[], usage={}) + "data: [DONE]\n\n") == ["It is ", "noon."]


def test_the_model_the_messages_and_the_key_are_told():
    asked = []

    def answer(path, body, headers):
        asked.append((path, json.loads(body), headers["Authorization"]))
        return 200, b"data: [DONE]\n\n", None

    with service(answer) as url:
        list(ChatService(f"{url}/v1", "small", "secret").reply(ASKED))
    ((path, body, key),) = asked
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "The time?"}]
    assert (body["model"], body["stream"]) == ("small", True)


@pytest.mark.parametrize(
    ("body", "how", "reason"),
    [
        ("no such model", {"status": 404}, "answered 404: no such model"),
        (delta("Well, "), {}, "broke off"),
        (delta("Well, "), {"claimed": 10_000}, "broke off"),
        (event(error={"message": "overloaded"}), {}, "overloaded"),
        ("data: {\n\n", {}, "no chat completion"),
        (event(choices=[{}]), {}, "no chat completion"),
        ("data: 7\n\n", {}, "no chat completion"),
    ],
)
def test_failures_are_told_with_the_address(body, how, reason):
    with pytest.raises(TextModelError, match=rf"http://127\.0\.0\.1:\d+.*{reason}|{reason}"):
        read(body, **how)


def test_a_service_that_is_not_there_is_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TextModelError, match=rf"127\.0\.0\.1:{port}.*refused"):
        list(ChatService(f"http://127.0.0.1:{port}").reply(ASKED))


def test_a_silent_service_is_left_at_once_when_it_is_cancelled():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        reply = ChatService(f"http://127.0.0.1:{listener.getsockname()[1]}").reply(ASKED)
        heard = []
        reader = threading.Thread(target=lambda: heard.extend(reply))
        reader.start()
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            reply.cancel()
            reader.join(HANG_SECONDS)
    assert not reader.is_alive()
    assert heard == []


def test_what_is_no_url_is_refused():
    with pytest.raises(ConfigError, match="'ftp://x' is not a valid URL"):
        ChatService("ftp://x")
