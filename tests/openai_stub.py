"""An OpenAI-compatible service in a thread: a test gives a function of path and body that answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes, int | None]  # status, body, and the length it claims (None: its own)


@contextmanager
def service(answer: Callable[[str, bytes, Any], Answer]) -> Iterator[str]:
    """Its URL, while it lives."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, data, claimed = answer(self.path, body, self.headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data) if claimed is None else claimed))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
