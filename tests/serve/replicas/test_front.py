"""The layer before Ray's proxy."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256

import pytest

from parlando.serve.replicas import front
from parlando.serve.replicas.front import Front, Signed, middlewares


def ask(app, body=b"{}", headers=(), kind="http", chunks=None):
    """Send one request through; returns what came out."""
    scope = {"type": kind, "method": "POST", "path": "/v1/audio/speech", "query_string": b"", "headers": list(headers)}
    parts = [body] if chunks is None else chunks
    incoming = [
        {"type": "http.request", "body": part, "more_body": index < len(parts) - 1} for index, part in enumerate(parts)
    ]
    sent = []

    async def receive():
        return incoming.pop(0) if incoming else await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    asyncio.run(Front(app)(scope, receive, send))
    return sent


class Echo:
    """Tells the body and the headers that it was given, with a second id of the request."""

    async def __call__(self, scope, receive, send):
        self.headers, body, more = dict(scope["headers"]), b"", True
        while more:
            message = await receive()
            body, more = body + message["body"], message["more_body"]
        names = [(b"x-request-id", b"mine"), (b"x-seed", b"1"), (b"X-Request-ID", b"mine")]
        await send({"type": "http.response.start", "status": 200, "headers": names})
        await send({"type": "http.response.body", "body": body})


def test_the_voice_is_the_session_and_the_body_is_handed_on_as_it_came():
    echo, body = Echo(), json.dumps({"voice": "ada"}).encode()
    start, rest = ask(echo, chunks=[body[:5], body[5:]])
    assert echo.headers[b"x-session-id"] == sha256(b"ada").hexdigest().encode()
    assert rest["body"] == body
    ids = [value for name, value in start["headers"] if name.lower() == b"x-request-id"]
    assert ids == [b"mine"]


def test_who_has_a_session_keeps_it():
    echo = Echo()
    ask(echo, b'{"voice": "ada"}', [(b"x-session-id", b"mine")])
    assert echo.headers[b"x-session-id"] == sha256(b"mine").hexdigest().encode()


def test_what_ray_routes_by_is_the_clients_in_no_other_spelling():
    echo = Echo()
    odd = [
        (b"X_Session_Id", b"a"),
        (b"x-session-id", b"\xff\xfe"),
        (b"x-request-id", b"one"),
        (b"X_Request-ID", b"two"),
    ]
    ask(echo, b'{"voice": {"x": 1}}', odd)
    assert echo.headers[b"x-session-id"].isalnum()
    assert [name for name in echo.headers if b"_" in name] == []
    assert echo.headers[b"x-request-id"] == b"one"


def test_names_of_any_script_fit_into_a_header():
    echo = Echo()
    ask(echo, '{"voice": "中文女"}'.encode())
    assert echo.headers[b"x-session-id"].isascii()


@pytest.mark.parametrize(("given", "kept"), [(b"abc-1", True), (b"a b", False), (b"", False)])
def test_an_id_is_the_clients_if_it_is_decent(given, kept):
    echo = Echo()
    ask(echo, headers=[(b"x-request-id", given)])
    assert (echo.headers[b"x-request-id"] == given) is kept
    assert echo.headers[b"x-request-id"]


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(front, "MOST_SECONDS", 0.01)
    seen = []

    async def app(scope, receive, send):
        seen.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    scope_messages = [{"type": "http.request", "body": b'{"voice": "a', "more_body": True}]

    async def receive():
        return scope_messages.pop(0) if scope_messages else await asyncio.Event().wait()

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    asyncio.run(Front(app)(scope, receive, lambda message: asyncio.sleep(0)))
    assert seen == [b'{"voice": "a']


def test_a_large_body_is_not_held(monkeypatch):
    monkeypatch.setattr(front, "MOST_BYTES", 10)
    read = []

    async def app(scope, receive, send):
        read.append(b"x-session-id" in dict(scope["headers"]))
        read.extend([(await receive())["body"] for _ in range(3)])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    ask(app, chunks=[b'{"voice": ', b'"ada", "more": 1', b"}"])
    assert read == [False, b'{"voice": ', b'"ada", "more": 1', b"}"]


def test_a_request_whose_server_died_before_it_answered_is_told_to_ask_again():
    async def dead(scope, receive, send):
        pass

    start, body = ask(dead)
    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"1"
    assert json.loads(body["body"])["error"]["code"] == "restarting"


def test_an_answer_that_breaks_off_is_not_ended_for_it():
    async def dead(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    assert len(ask(dead)) == 2


def test_other_scopes_pass():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["type"])

    ask(app, kind="lifespan")
    assert (seen, [each.cls for each in middlewares()]) == (["lifespan"], [Front])


@pytest.mark.parametrize("type", ["http.response.start", "websocket.accept"])
def test_an_answer_says_who_made_it(type):
    async def app(scope, receive, send):
        await send({"type": type})
        await send({"type": "http.response.body", "body": b""})

    first, second = ask(Signed(app, "abc"), kind=type.partition(".")[0])
    assert first["headers"] == [(b"x-parlando-replica", b"abc")]
    assert "headers" not in second
