"""The published Higgs Audio interface on Parlando's engine: change the import lines, keep the rest.

``import parlando.higgs as torchaudio`` also serves snippets that end in ``torchaudio.save(...)``.
"""

from __future__ import annotations

from parlando.audio.waveform import save
from parlando.higgs.response import HiggsAudioResponse, HiggsAudioStreamerDelta
from parlando.higgs.serve_engine import HiggsAudioServeEngine
from parlando.models.higgs.parts.chatml import AudioContent, ChatMLSample, Message, TextContent

__all__ = [
    "AudioContent",
    "ChatMLSample",
    "HiggsAudioResponse",
    "HiggsAudioServeEngine",
    "HiggsAudioStreamerDelta",
    "Message",
    "TextContent",
    "save",
]
