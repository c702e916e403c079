"""`CosyVoice2`: the published names, arguments and results, served by Parlando's engine."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parlando.core.errors import CheckpointError, ConfigError, VoiceNotFoundError
from parlando.core.types import Voice
from parlando.core.voicefile import write_voices
from parlando.cosyvoice.arguments import any_name, engine_arguments, without_emotion_tags
from parlando.cosyvoice.frontend import TextFrontend
from parlando.cosyvoice.sound import Recording, as_clip, as_prompt
from parlando.models.cosyvoice.build import CosyVoiceModel, load_model
from parlando.models.cosyvoice.prompt import with_instruction, without_transcript
from parlando.models.cosyvoice.voices import VOICES_FILE
from parlando.models.locate import PACKAGED, locate
from parlando.models.registry import family_of
from parlando.nn.placement import AUTO
from parlando.request import WHOLE_SENTENCES
from parlando.result import Chunk
from parlando.speech import Synthesizer
from parlando.text.sentences import check_text

logger = logging.getLogger(__name__)
Text = str | Iterable[str]
Made = Iterator[dict[str, Tensor]]


@dataclass(frozen=True)
class _Manner:
    """What the arguments after the voice say."""

    stream: bool = False
    speed: float = 1.0
    text_frontend: bool = True


class CosyVoice2:
    """Speaks, clones, follows instructions and converts voices, from any number of threads at once.

    Every ``inference_*`` method is a generator of ``{"tts_speech": float32 [1, sample]}`` at ``sample_rate``: one item
    a sentence, or with ``stream=True`` pieces as they become final. A prompt is a path, a file object or a tensor
    [1, sample] at 16 kHz. Text may be a string or a generator of strings, which is spoken while it arrives.
    """

    def __init__(self, model_dir: str | Path, *accelerations: bool | int, **options: Any) -> None:
        """Load a model: a packaged name, a folder or a hub id.

        ``options`` are those of `arguments.EngineArguments`, some of them also by position in the published order
        (``load_jit``, ``load_trt``, ``load_vllm``, ``fp16``, ``trt_concurrent``).

        Raises:
            ParlandoError: as `parlando.load`.
            ConfigError: an option is unknown or out of range.
            CheckpointError: the model is of another family.
        """
        self._arguments = engine_arguments(accelerations, options)
        self._arguments.warn()
        self._folder = locate(model_dir)
        family = family_of(self._folder)
        if family != CosyVoiceModel.family:
            raise CheckpointError(
                f"'{model_dir}' is a model of the family '{family}', which CosyVoice2 does not speak; use "
                f"parlando.higgs.HiggsAudioServeEngine or parlando.load for it, or CosyVoice2('cosyvoice-mini')"
            )
        self._model: CosyVoiceModel = load_model(self._folder, dtype=self._dtype(), options=self._arguments.options)
        if self._arguments.fp16 and self._model.dtype == torch.float32:
            logger.warning("fp16 is for GPUs, and for large models on processors with matrix units; float32 is used")
        self._synthesizer = Synthesizer(self._model, self._arguments.rows)
        self._voices = dict(self._model.voices)
        self.sample_rate = self._model.sample_rate
        self.text_frontend = TextFrontend(self._model.notation)

    def _dtype(self) -> str | None:
        """Half precision, if asked for: on a processor bfloat16, where that is the faster."""
        if not self._arguments.fp16:
            return None
        return "float16" if torch.cuda.is_available() else AUTO

    def list_available_spks(self) -> list[str]:
        """Names of the preset speakers and of those that were added."""
        return list(self._voices)

    @any_name
    def add_zero_shot_spk(self, prompt_text: str, prompt_wav: Recording, zero_shot_spk_id: str) -> bool:
        """Keep a voice under a name, to be used as ``zero_shot_spk_id``; errors as for `inference_zero_shot`.

        Raises:
            ConfigError: the name is empty.
        """
        if not zero_shot_spk_id:
            raise ConfigError("zero_shot_spk_id is empty; name the speaker")
        self._voices[zero_shot_spk_id] = replace(self._cloned(prompt_text, prompt_wav), name=zero_shot_spk_id)
        return True

    def save_spkinfo(self) -> None:
        """Write all speakers into the model's folder (``voices.json``), where they are found again.

        Raises:
            ConfigError: the model is the packaged one, which is not to be changed.
        """
        if PACKAGED in self._folder.parents:
            raise ConfigError(
                f"'{self._folder}' is part of the package; copy it, load the copy, and save speakers there"
            )
        write_voices(self._folder / VOICES_FILE, self._voices)

    @any_name
    def inference_sft(
        self,
        tts_text: Text,
        spk_id: str,
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
        instruct_text: str = "",
    ) -> Made:
        """A text in the voice of a preset speaker, spoken as an instruction (or ``style``) says, if there is one.

        Raises:
            VoiceNotFoundError: there is no such speaker.
        """
        voice = self._named(spk_id)
        voice = with_instruction(voice, instruct_text) if instruct_text else voice
        return self._speak(tts_text, voice, _Manner(stream, speed, text_frontend))

    @any_name
    def inference_zero_shot(
        self,
        tts_text: Text,
        prompt_text: str = "",
        prompt_wav: Recording = "",
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Made:
        """A text in the voice and manner of a recording, of which ``prompt_text`` is the transcript.

        Without the words, the recording's voice is followed alone, as by `inference_cross_lingual`.

        Raises:
            TextError: there is nothing to pronounce, in the text or in the transcript.
            AudioError: the recording cannot serve: too short or long, silent, clipped, or below 16 kHz.
            VoiceNotFoundError: there is no speaker of that id.
        """
        voice = self._named(zero_shot_spk_id) if zero_shot_spk_id else self._cloned(prompt_text, prompt_wav)
        return self._speak(tts_text, voice, _Manner(stream, speed, text_frontend))

    @any_name
    def inference_cross_lingual(
        self,
        tts_text: Text,
        prompt_wav: Recording,
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Made:
        """A text in the voice of a recording, in whatever language; errors as for `inference_zero_shot`."""
        voice = self._named(zero_shot_spk_id) if zero_shot_spk_id else self._cloned("", prompt_wav)
        return self._speak(tts_text, without_transcript(voice), _Manner(stream, speed, text_frontend))

    @any_name
    def inference_instruct2(
        self,
        tts_text: Text,
        instruct_text: str,
        prompt_wav: Recording,
        zero_shot_spk_id: str = "",
        stream: bool = False,
        speed: float = 1.0,
        text_frontend: bool = True,
    ) -> Made:
        """A text in the voice of a recording, spoken as an instruction says; errors as for `inference_zero_shot`.

        The end-of-prompt mark is added where it is missing. With a saved speaker the instruction counts, too.
        """
        voice = self._named(zero_shot_spk_id) if zero_shot_spk_id else self._cloned("", prompt_wav)
        return self._speak(tts_text, with_instruction(voice, instruct_text), _Manner(stream, speed, text_frontend))

    @any_name
    def inference_vc(
        self, source_wav: Recording, prompt_wav: Recording, stream: bool = False, speed: float = 1.0
    ) -> Made:
        """What a recording of any length says, in the voice of another.

        Raises:
            AudioError: one of them cannot serve.
        """
        source, voice = as_clip(source_wav), self._cloned("", prompt_wav)
        schedule = self._arguments.schedule if stream else WHOLE_SENTENCES
        return self._made(self._synthesizer.stream_conversion(source, voice, speed, schedule), stream)

    def _speak(self, text: Text, voice: Voice, manner: _Manner) -> Made:
        schedule = self._arguments.schedule if manner.stream else WHOLE_SENTENCES
        check_text(text)
        text = without_emotion_tags(text)
        options: dict[str, Any] = {"speed": manner.speed, "schedule": schedule, "language": "auto"}
        options["lead_silence_seconds"] = math.inf
        request = self._synthesizer.request(voice, **options)
        if not manner.text_frontend:
            request = replace(request, reading=replace(request.reading, as_written=True))
        return self._made(self._synthesizer.run(text, request), manner.stream)

    def _made(self, chunks: Iterator[Chunk], stream: bool) -> Made:
        """One item a chunk, or a sentence with the pause before it."""
        held: list[Tensor] = []
        for chunk in chunks:
            held.append(torch.from_numpy(chunk.samples))
            ready = stream or chunk.report is not None
            if ready and (whole := torch.cat(held)).numel():
                yield {"tts_speech": whole[None]}
                held = []

    def _cloned(self, prompt_text: str, prompt_wav: Recording) -> Voice:
        return self._synthesizer.clone(as_prompt(prompt_wav), prompt_text)

    def _named(self, name: str) -> Voice:
        if name not in self._voices:
            raise VoiceNotFoundError(name, self._voices)
        return self._voices[name]


def AutoModel(**arguments: Any) -> CosyVoice2:  # noqa: N802 - the published name
    """The model of a folder, whatever generation it is of; arguments as for `CosyVoice2`, by name.

    Raises:
        ConfigError: there is no ``model_dir`` among them.
        CheckpointError: it is of a generation that is not supported.
    """
    if "model_dir" not in arguments:
        raise ConfigError("AutoModel needs model_dir: a packaged name, a folder or a hub id")
    return CosyVoice2(**arguments)
