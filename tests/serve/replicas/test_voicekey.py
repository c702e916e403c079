"""Whose voice a request asks for, in every door's way of saying it."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import httpx
import pytest

from parlando.serve.replicas.voicekey import voice_key


def key_of(method, url, **content):
    request = httpx.Request(method, f"http://x{url}", **content)
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    path, query = request.url.path, request.url.query
    scope = {"type": "http", "method": method, "path": path, "query_string": query, "headers": headers}
    return asyncio.run(voice_key(scope, request.read()))


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/v1/audio/speech", {"input": "Hi.", "voice": "ada"}, "ada"),
        ("/v1/audio/speech", {"input": "Hi.", "voice": {"id": "bob"}}, "bob"),
        ("/v1/audio/speech", {"input": "Hi."}, None),
        ("/v1/audio/speech", ["ada"], None),
        ("/v1/audio/speech", {"voice": 3}, "3"),
        ("/v1/chat/completions", {"audio": {"voice": "ada", "format": "wav"}}, "ada"),
        ("/tts", {"text": "Hi.", "speaker": "中文女"}, "中文女"),
        ("/v1/audio/speech", {"voice": "ada", "ref_audio": "UklGRg=="}, sha256(b"UklGRg==").hexdigest()),
        ("/v1/text-to-speech/Ada%20Lake/stream", {"text": "Hi."}, "Ada Lake"),
        ("/v1/text-to-speech/", {}, None),
        ("/v1/live?voice=ada", {}, "ada"),
    ],
)
def test_bodies_paths_and_queries(path, body, key):
    assert key_of("POST", path, json=body) == key


def test_forms_by_either_method_and_recordings_by_what_is_in_them():
    assert key_of("GET", "/inference_sft", data={"tts_text": "Hi.", "spk_id": "中文女"}) == "中文女"
    files = {"prompt_wav": ("a.wav", b"RIFF...")}
    given = [key_of("POST", "/inference_zero_shot", data={"tts_text": text}, files=files) for text in ("Hi.", "Ho.")]
    assert given == [sha256(b"RIFF...").hexdigest()] * 2


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"voice": "a', b"[" * 100_000])
def test_what_is_no_json_has_no_key(body):
    assert key_of("POST", "/v1/audio/speech", content=body) is None


def test_a_broken_form_has_no_key():
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert key_of("POST", "/inference_sft", content=b"--y\r\n\r\nz", headers=headers) is None
