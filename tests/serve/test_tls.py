"""Encrypted doors: https, wss and gRPC with a certificate that the test makes, and files that cannot be used."""

from __future__ import annotations

import base64
import json
import ssl

import grpc
import httpx
import pytest
import trustme
from websockets.sync.client import connect

from parlando.core.errors import ConfigError, FileMissingError
from parlando.serve.app import check_start
from parlando.serve.config import ServeConfig
from waiting import HANG_SECONDS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return folder


@pytest.fixture(scope="module")
def encrypted(serving, files):
    given = {"tls_cert": str(files / "cert.pem"), "tls_key": str(files / "key.pem")}
    with serving(grpc_port=0, verify=str(files / "authority.pem"), **given) as running:
        yield running


def test_speech_goes_over_https_and_plain_http_does_not(encrypted):
    assert encrypted.url.startswith("https://")
    assert len(encrypted.say().content) == 48000
    with pytest.raises(httpx.HTTPError):
        httpx.get(encrypted.url.replace("https", "http"), timeout=HANG_SECONDS)
    with pytest.raises(httpx.ConnectError, match="(?i)certificate"):
        httpx.get(encrypted.url, timeout=HANG_SECONDS)


@pytest.mark.filterwarnings("ignore:ConnectionClosed.code is deprecated:DeprecationWarning")
def test_elevenlabs_client_speaks_text_while_it_is_written(encrypted, files, monkeypatch):
    from elevenlabs.client import ElevenLabs

    monkeypatch.setenv("SSL_CERT_FILE", str(files / "authority.pem"))  # its WebSocket is made without an own context
    client = ElevenLabs(base_url=encrypted.url, api_key="none")
    said = client.text_to_speech.convert_realtime(
        voice_id="ada", text=iter(["Hello ", "there. "]), model_id="eleven_flash_v2_5", output_format="pcm_24000"
    )
    assert sum(map(len, said)) == 48000


def test_wss_carries_our_own_socket(encrypted, files):
    context = ssl.create_default_context(cafile=str(files / "authority.pem"))
    address = encrypted.url.replace("https", "wss")
    with connect(f"{address}/v1/audio/speech/stream", ssl=context) as wire:
        for message in ({"type": "text", "text": "Hello there."}, {"type": "end"}):
            wire.send(json.dumps(message))
        messages = [json.loads(wire.recv()) for _ in range(2)]
        while messages[-1]["type"] != "done":
            messages.append(json.loads(wire.recv()))
    assert sum(len(base64.b64decode(each["audio"])) for each in messages if each["type"] == "audio") == 48000


def test_grpc_is_encrypted_too(encrypted, files, cosyvoice_stubs):
    pb2, stubs = cosyvoice_stubs
    credentials = grpc.ssl_channel_credentials((files / "authority.pem").read_bytes())
    with grpc.secure_channel(f"localhost:{encrypted.service.ports['grpc']}", credentials) as channel:
        request = pb2.Request(sft_request=pb2.sftRequest(spk_id="ada", tts_text="Hello there."))
        answers = list(stubs.CosyVoiceStub(channel).Inference(request, timeout=HANG_SECONDS))
    assert sum(len(each.tts_audio) for each in answers) == 2 * 22050


def test_what_cannot_be_used_ends_the_start(files, tmp_path):
    def start(cert, key):
        check_start(ServeConfig(tls_cert=cert, tls_key=key, voice_folder=str(tmp_path)))

    cert, key, other = str(files / "cert.pem"), str(files / "key.pem"), str(files / "authority.pem")
    start(cert, key)
    with pytest.raises(ConfigError, match="belong together"):
        start(cert, None)
    with pytest.raises(FileMissingError, match="no TLS key at"):
        start(cert, str(tmp_path / "none.pem"))
    for wrong in ((other, key), (key, cert)):
        with pytest.raises(ConfigError, match="cannot be used"):
            start(*wrong)
