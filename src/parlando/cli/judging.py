"""Who judges: options that every command with judges has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from parlando.evaluate.protocols.shared import Judges

NONE = "none"


@dataclass(frozen=True, kw_only=True)
class JudgeOptions:
    """The judges that are asked for."""

    asr: Annotated[
        str, typer.Option(help="Who writes down: whisper[:size or folder], paraformer, pocketsphinx, URL …, or none.")
    ] = "whisper"
    speaker: Annotated[
        str, typer.Option(help="Who tells voices apart: resemblyzer, campplus, wavlm:FILE, or none.")
    ] = "resemblyzer"
    mos: Annotated[str, typer.Option(help="Who gives marks: distillmos, dnsmos[:FILE], or none.")] = "distillmos"
    key: Annotated[str | None, typer.Option(help="The API key of services.")] = None

    def judges(self, emotion: str = NONE) -> Judges:
        """Them, ready to judge."""
        from parlando.evaluate.judges import registry
        from parlando.evaluate.protocols.shared import Judges

        return Judges(
            asr=None if self.asr == NONE else registry.asr(self.asr, self.key),
            speaker=None if self.speaker == NONE else registry.speaker_encoder(self.speaker),
            mos=None if self.mos == NONE else registry.mos(self.mos),
            emotion=None if emotion == NONE else registry.emotion_encoder(emotion),
        )
