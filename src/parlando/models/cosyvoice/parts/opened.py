"""Streams of the flow as they are after their prompt, so that a clip is computed once and not for every sentence."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable

from parlando.models.cosyvoice.parts.flow import FlowPrompt, FlowState

MOST_FRAMES = 750  # of all clips together: fifteen seconds, of which three seconds or ten fit and a book does not


class OpenedPrompts:
    """Prompts by what they are, whatever the voice is called; who was not asked for the longest goes first.

    Any thread may ask. What is handed out goes on by itself and leaves what is held as it is, and so does a prompt that
    is not held, so that a stream is the same bit by bit whether it was.
    """

    def __init__(self, open_prompt: Callable[[FlowPrompt], FlowState], most_frames: int = MOST_FRAMES) -> None:
        self._open, self._most_frames = open_prompt, most_frames
        self._held: OrderedDict[bytes, FlowState] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, prompt: FlowPrompt) -> FlowState:
        """A stream that continues a prompt; errors as for `Flow.open`."""
        key = _key(prompt)
        with self._lock:
            state = self._held.get(key)
            if state is not None:
                self._held.move_to_end(key)
        if state is None:
            state = self._open(prompt)
            self._keep(key, state)
        return state.fork()

    def _keep(self, key: bytes, state: FlowState) -> None:
        if not 0 < len(state.prompt_mel) <= self._most_frames:
            return
        with self._lock:
            self._held[key] = state
            while sum(len(each.prompt_mel) for each in self._held.values()) > self._most_frames:
                self._held.popitem(last=False)


def _key(prompt: FlowPrompt) -> bytes:
    digest = hashlib.sha256()
    for part in (prompt.tokens, prompt.mel, prompt.speaker):
        digest.update(f"{tuple(part.shape)}".encode())
        digest.update(part.cpu().contiguous().numpy().tobytes())
    return digest.digest()
