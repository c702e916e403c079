"""What the server costs by itself: a second of PCM from sentences that are there already, over raw sockets.

    python recipes/serve_overhead.py --concurrency 1 16 --peer http://127.0.0.1:8880

A peer is any server of OpenAI's `/v1/audio/speech` whose model takes no time; it is asked in the same run, in turns.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import urlsplit

from parlando.evaluate.report import markdown_table

HOPS = (2, 4, 8, 11)


def serve() -> None:
    """Our server, whose sentences are there already, in the four chunks of a growing schedule."""
    import numpy as np

    import parlando
    from parlando.result import Chunk
    from parlando.serve.app import build_app
    from parlando.serve.config import ServeConfig
    from parlando.serve.server import listen
    from parlando.serve.server import serve as run

    config = ServeConfig(voice_folder=tempfile.mkdtemp())
    synthesizer = parlando.load()
    app = build_app({synthesizer.model.name: synthesizer}, config)
    per_frame = synthesizer.model.decoder.samples_per_frame
    chunks = [Chunk(np.zeros(frames * per_frame, np.float32), synthesizer.sample_rate) for frames in HOPS]
    app.state.service.host(None).run = lambda text, request: iter(chunks)
    opened = listen("127.0.0.1", 0)
    print(f"http://127.0.0.1:{opened.getsockname()[1]}", flush=True)
    run(app, config, opened)


def ask_until(url: str, until: float, first_bytes: list[float]) -> None:
    """One client on one connection, again and again."""
    parts = urlsplit(url)
    body = json.dumps({"model": "tts-1", "voice": "alloy", "input": "Hello.", "response_format": "pcm"}).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.perf_counter() < until:
            started = time.perf_counter()
            connection.sendall(request)
            end = connection.recv(65536)
            first_bytes.append(time.perf_counter() - started)
            if not end.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{url}: {end[:200]!r}")
            while not end.endswith(b"\r\n0\r\n\r\n"):
                data = connection.recv(262144)
                if not data:
                    raise SystemExit(f"{url} closed the connection")
                end = (end + data)[-16:]


def measure(url: str, concurrency: int, seconds: float) -> list[str]:
    """A row of the table."""
    first_bytes: list[float] = []
    began = time.perf_counter()
    arguments = (url, began + seconds, first_bytes)
    clients = [threading.Thread(target=ask_until, args=arguments) for _ in range(concurrency)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    rate = len(first_bytes) / (time.perf_counter() - began)
    ranked = sorted(first_bytes)
    p95 = ranked[int(0.95 * len(ranked))]
    return [url, str(concurrency), f"{statistics.median(ranked) * 1e3:.2f}", f"{p95 * 1e3:.2f}", f"{rate:.0f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        serve()
        return
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True) as process:
        try:
            ours = process.stdout.readline().strip()
            measure(ours, 1, 1.0)
            urls = [ours, *chosen.peer]
            rows = [measure(url, count, chosen.seconds) for count in chosen.concurrency for url in urls]
        finally:
            process.terminate()
    print(markdown_table(["server", "concurrency", "first byte ms, p50", "p95", "requests/s"], rows))


if __name__ == "__main__":
    main()
