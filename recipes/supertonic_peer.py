"""The OpenAI-compatible server of the package ``supertonic``, with a model that takes no time, for `serve_overhead.py`.

python -m venv /tmp/peer && /tmp/peer/bin/pip install "supertonic[serve]"
"""

import json
import socket
import tempfile
from types import SimpleNamespace

import numpy as np
import uvicorn
from supertonic.server.app import ServerState, create_app

RATE = 24000
SECOND = (0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)).astype(np.float32)


def main() -> None:
    model = SimpleNamespace(
        sample_rate=RATE,
        voice_style_names=("M1",),
        get_voice_style=lambda name: name,
        synthesize=lambda text, **options: (SECOND[None].copy(), None),
    )
    state = ServerState("supertonic-3", tts=model, custom_styles_dir=tempfile.mkdtemp())
    opened = socket.create_server(("127.0.0.1", 0))
    wants = {"model": "supertonic-3", "voice": "M1", "response_format": "wav"}
    print(f"http://127.0.0.1:{opened.getsockname()[1]} {json.dumps(wants)}", flush=True)
    uvicorn.Server(uvicorn.Config(create_app(state=state), log_level="warning")).run(sockets=[opened])


if __name__ == "__main__":
    main()
