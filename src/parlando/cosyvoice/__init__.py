"""The published CosyVoice2 interface on Parlando's engine: change the import lines and the model's path, keep the rest.

``import parlando.cosyvoice as torchaudio`` also serves snippets that end in ``torchaudio.save(...)``.
"""

from __future__ import annotations

from parlando.audio.waveform import save
from parlando.cosyvoice.inference import AutoModel, CosyVoice2
from parlando.cosyvoice.sound import load_wav

__all__ = ["AutoModel", "CosyVoice2", "load_wav", "save"]
