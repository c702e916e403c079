"""How long a listener waits, through the Realtime socket: from the end of a question to the first sound of its answer,
and from talking over an answer to silence.

parlando serve --port 50000 --recogniser faster-whisper:FOLDER --text-model http://127.0.0.1:8000#model &
parlando say "What is the time, please?" -o question.wav
python recipes/conversation/delays.py question.wav --url ws://127.0.0.1:50000 --times 10
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from websockets.sync.client import ClientConnection, connect

from parlando.audio.clip import to_pcm
from parlando.audio.files import read_audio
from parlando.audio.resample import resample
from parlando.audio.silence import trim_silence

RATE, PIECE_SECONDS, REST_SECONDS, PATIENCE_SECONDS = 24_000, 0.02, 1.5, 60.0


class Talk:
    """One connection; a thread notes when each event came."""

    def __init__(self, wire: ClientConnection) -> None:
        self.events: list[tuple[float, dict]] = []
        self._wire, self._news, self._due = wire, threading.Condition(), 0.0
        threading.Thread(target=self._listen, daemon=True).start()

    def send(self, type: str, **fields: object) -> None:
        self._wire.send(json.dumps({"type": type, **fields}))

    def say(self, samples: np.ndarray) -> float:
        """Speak as fast as people do, whatever was said before; returns when the last of it was sent."""
        size = round(PIECE_SECONDS * RATE)
        for at in range(0, len(samples), size):
            self._due = max(self._due, time.perf_counter() - PIECE_SECONDS) + PIECE_SECONDS
            time.sleep(max(0.0, self._due - time.perf_counter()))
            audio = base64.b64encode(to_pcm(samples[at : at + size]).tobytes()).decode()
            self.send("input_audio_buffer.append", audio=audio)
        return time.perf_counter()

    def wait(self, type: str, after: float) -> float:
        """`moment`, while the microphone goes on, in silence."""
        return self.moment(type, after, lambda: self.say(np.zeros(round(PIECE_SECONDS * RATE), np.float32)))

    def moment(self, type: str, after: float, meanwhile: Callable[[], object] | None = None) -> float:
        """When the first event of that type came after a moment."""
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while time.perf_counter() < deadline:
            for moment, event in [*self.events]:
                if event["type"] == "error":
                    raise SystemExit(f"the server says: {event['error']['message']}")
                if moment >= after and event["type"] == type:
                    return moment
            if meanwhile is not None:
                meanwhile()
                continue
            with self._news:
                self._news.wait(PIECE_SECONDS)
        raise SystemExit(f"no {type} within {PATIENCE_SECONDS:g} s")

    def _listen(self) -> None:
        for message in self._wire:
            with self._news:
                self.events.append((time.perf_counter(), json.loads(message)))
                self._news.notify_all()


def measure(talk: Talk, question: np.ndarray) -> tuple[float, float, int]:
    """Seconds to the first sound, seconds from talking over it to silence, and samples that came after that."""
    asked = talk.say(question)
    first = talk.wait("response.output_audio.delta", asked)
    over = time.perf_counter()
    interrupting = threading.Thread(target=talk.say, args=(question,))
    interrupting.start()
    quiet = talk.moment("input_audio_buffer.speech_started", over)
    interrupting.join()
    talk.wait("input_audio_buffer.speech_stopped", over)
    answer = next(event["response_id"] for moment, event in talk.events if moment == first)
    late = [
        event["delta"]
        for moment, event in talk.events
        if moment > quiet and event["type"] == "response.output_audio.delta" and event["response_id"] == answer
    ]
    return first - asked, quiet - over, sum(len(base64.b64decode(delta)) // 2 for delta in late)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", type=Path)
    parser.add_argument("--url", default="ws://127.0.0.1:50000")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--silence-ms", type=int, default=500)
    given = parser.parse_args()
    clip = read_audio(given.question)
    question = trim_silence(resample(clip.samples, clip.sample_rate, RATE), RATE)
    detection = {"type": "server_vad", "silence_duration_ms": given.silence_ms}
    found = []
    for number in range(given.times):
        with connect(f"{given.url}/v1/realtime?model=gpt-realtime", max_size=None) as wire:
            talk = Talk(wire)
            talk.send("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
            talk.say(np.zeros(round(REST_SECONDS * RATE), np.float32))
            found.append(measure(talk, question))
        first, quiet, late = found[-1]
        print(f"{number + 1}: first sound {first:.3f} s, silence {quiet:.3f} s after talking over, {late} samples late")
    first, quiet, late = (statistics.median(column) for column in zip(*found, strict=True))
    worst_first, worst_quiet, worst_late = (max(column) for column in zip(*found, strict=True))
    print(f"median: first sound {first:.3f} s, silence {quiet:.3f} s, {late:g} samples late")
    print(f"worst: first sound {worst_first:.3f} s, silence {worst_quiet:.3f} s, {worst_late:g} samples late")


if __name__ == "__main__":
    main()
