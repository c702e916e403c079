"""What can be trained: the parts of every family, each with its recipe and what makes a task of it.

The only file here that names the families. It does not import torch, so that the command line can list all of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from parlando.core.errors import ConfigError
from parlando.train.loop.recipe import Sources, family_of, read_recipe

if TYPE_CHECKING:
    from parlando.train.encode import Embedder, Encoder
    from parlando.train.loop.sharding import ParallelConfig
    from parlando.train.loop.task import Task
    from parlando.train.loop.trainer import Budget

_HIGGS, _COSYVOICE = "parlando.train.higgs", "parlando.train.cosyvoice"
_UNDERSTANDING = "parlando.train.understanding"


@dataclass(frozen=True)
class Maker:
    """``recipe`` is a dataclass and ``make`` a function of it and its `Sources`, both as ``module:name``.

    ``needs`` and ``takes`` are names of the sources, of `SOURCES`.
    """

    recipe: str
    make: str
    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training:
    """A part that can be trained: what its help says, and its makers by family.

    A recipe that names no family is of the first. ``former`` is the name that it had before.
    """

    help: str
    makers: Mapping[str, Maker]
    former: str = ""


SOURCES: Mapping[str, str] = {
    "corpus": "Packed corpus; its pitch measured, where the recipe is about pitch.",
    "codes": "Encoded corpus.",
    "pairs": "Folder of preference pairs (data preferences).",
    "codec": "Folder of the codec that encoded it (Higgs).",
    "teacher": "Folder of a HuBERT checkpoint, or of a content teacher (Higgs).",
    "start_from": "Folder to start from: a finished training of the same part, or a model that has one.",
    "resampled": "The codes as a language model draws them (data resample-tokens).",
    "mels": "The corpus's mels as a flow makes them (data mels).",
    "lm": "Folder of the trained language model.",
    "speech_tokenizer": "Folder of that training (CosyVoice).",
    "speaker": "Folder of that training (CosyVoice).",
    "flow": "Folder of that training (CosyVoice).",
    "vocoder": "Folder of that training (CosyVoice).",
}

TRAININGS: Mapping[str, Training] = {
    "codec": Training(
        """Train the light codec, or tune its decoder.

        An adversarial recipe with --from tunes the decoder against discriminators.

        Example: parlando train codec recipes/higgs-mini/codec.toml --corpus corpus/packed -o runs/codec
        """,
        {
            "higgs": Maker(
                f"{_HIGGS}.recipes:CodecRecipe", f"{_HIGGS}.recipes:make_codec_task", ("corpus",), ("start_from",)
            )
        },
    ),
    "audio-tokenizer": Training(
        """Train the unified audio tokenizer of Higgs Audio v2.

        Its published size or any other, with a teacher (--teacher), or from a published one (--from).

        Example: parlando train audio-tokenizer recipes/audio-tokenizer/small.toml --corpus corpus/packed
        --teacher runs/teacher -o runs/audio-tokenizer
        """,
        {
            "higgs": Maker(
                f"{_HIGGS}.recipes:AudioTokenizerRecipe",
                f"{_HIGGS}.recipes:make_audio_tokenizer_task",
                ("corpus",),
                ("teacher", "start_from"),
            )
        },
    ),
    "content-teacher": Training(
        """Train a content teacher for the audio tokenizer.

        It is a small HuBERT, learned from the corpus alone, for where no checkpoint of one is at hand.

        Example: parlando train content-teacher recipes/audio-tokenizer/teacher.toml --corpus corpus/packed
        -o runs/teacher
        """,
        {
            "higgs": Maker(
                f"{_HIGGS}.recipes:ContentTeacherRecipe",
                f"{_HIGGS}.recipes:make_content_teacher_task",
                ("corpus",),
                ("start_from",),
            )
        },
    ),
    "voice-transfer": Training(
        """Train what gives sentences another speaker's voice.

        It says other speakers' sentences in the voice of one with few recordings (parlando data voice-transfer).

        Example: parlando train voice-transfer recipes/higgs-mini/voice_transfer.toml --corpus corpus/packed
        --codes corpus/codes -o runs/voice-transfer
        """,
        {
            "higgs": Maker(
                f"{_HIGGS}.recipes:VoiceTransferRecipe",
                f"{_HIGGS}.recipes:make_voice_transfer_task",
                ("corpus", "codes"),
            )
        },
        former="revoicer",
    ),
    "understanding": Training(
        """Train understanding: words, speakers, events and place.

        It learns from scenes that are made of a corpus on the way: rooms, telephone, noise, music, events, two
        speakers. --from goes on from such a training, or from a published tower (Higgs, Qwen2-Audio, Whisper).

        Example: parlando train understanding recipes/understanding/small.toml --corpus corpus/packed
        -o runs/understanding
        """,
        {
            "understanding": Maker(
                f"{_UNDERSTANDING}.recipes:UnderstandingRecipe",
                f"{_UNDERSTANDING}.recipes:make_understanding_task",
                ("corpus",),
                ("start_from",),
            )
        },
    ),
    "lm": Training(
        """Train the language model of either family.

        The recipe's family says which one.

        Example: parlando train lm recipes/higgs-mini/lm.toml --codes corpus/codes --codec runs/codec -o runs/lm
        """,
        {
            "higgs": Maker(
                f"{_HIGGS}.lm_recipe:LMRecipe", f"{_HIGGS}.lm_recipe:make_lm_task", ("codes", "codec"), ("start_from",)
            ),
            "cosyvoice": Maker(
                f"{_COSYVOICE}.lm_recipe:CosyVoiceLMRecipe",
                f"{_COSYVOICE}.lm_recipe:make_lm_task",
                ("codes",),
                ("corpus", "start_from"),
            ),
        },
    ),
    "chat": Training(
        """Fine-tune a language model on conversations (Higgs).

        They are ChatML samples, encoded by parlando data encode-chat; it begins with a model, of any layout.

        Example: parlando train chat chat.toml --codes corpus/chat --from my-model -o runs/chat
        """,
        {"higgs": Maker(f"{_HIGGS}.chat:ChatRecipe", f"{_HIGGS}.chat:make_chat_task", ("codes",), ("start_from",))},
    ),
    "dpo": Training(
        """Tune a language model to what judges prefer (DPO).

        It learns from pairs of takes that it made itself (parlando data preferences), and begins with that model.

        Example: parlando train dpo recipes/preference/dpo.toml --pairs pairs --from higgs-mini -o runs/dpo
        """,
        {
            "higgs": Maker(f"{_HIGGS}.dpo:HiggsDPORecipe", f"{_HIGGS}.dpo:make_dpo_task", ("pairs",), ("start_from",)),
            "cosyvoice": Maker(
                f"{_COSYVOICE}.dpo:CosyVoiceDPORecipe", f"{_COSYVOICE}.dpo:make_dpo_task", ("pairs",), ("start_from",)
            ),
        },
    ),
    "speech-tokenizer": Training(
        """Train CosyVoice's speech tokenizer.

        It is a phone recogniser, cut off by a quantiser.

        Example: parlando train speech-tokenizer recipes/cosyvoice-mini/speech_tokenizer.toml --corpus corpus/packed
        -o runs/tokenizer
        """,
        {
            "cosyvoice": Maker(
                f"{_COSYVOICE}.recipes:SpeechTokenizerRecipe",
                f"{_COSYVOICE}.recipes:make_speech_tokenizer_task",
                ("corpus",),
                ("start_from",),
            )
        },
    ),
    "speaker": Training(
        """Train CosyVoice's speaker encoder.

        It learns to tell voices apart, each at several speeds.

        Example: parlando train speaker recipes/cosyvoice-mini/speaker.toml --corpus corpus/packed -o runs/speaker
        """,
        {
            "cosyvoice": Maker(
                f"{_COSYVOICE}.recipes:SpeakerRecipe",
                f"{_COSYVOICE}.recipes:make_speaker_task",
                ("corpus",),
                ("start_from",),
            )
        },
    ),
    "flow": Training(
        """Train CosyVoice's flow: codes and a speaker to mels.

        Example: parlando train flow recipes/cosyvoice-mini/flow.toml --corpus corpus/packed --codes corpus/codes
        -o runs/flow
        """,
        {
            "cosyvoice": Maker(
                f"{_COSYVOICE}.recipes:FlowRecipe",
                f"{_COSYVOICE}.recipes:make_flow_task",
                ("corpus", "codes"),
                ("start_from", "resampled"),
            )
        },
    ),
    "vocoder": Training(
        """Train CosyVoice's vocoder: mel frames to samples.

        Example: parlando train vocoder recipes/cosyvoice-mini/vocoder.toml --corpus corpus/packed -o runs/vocoder
        """,
        {
            "cosyvoice": Maker(
                f"{_COSYVOICE}.recipes:VocoderRecipe",
                f"{_COSYVOICE}.recipes:make_vocoder_task",
                ("corpus",),
                ("start_from", "mels"),
            )
        },
    ),
}

ASSEMBLIES: Mapping[str, Maker] = {
    "higgs": Maker(f"{_HIGGS}.assemble:ModelRecipe", f"{_HIGGS}.assemble:assemble_model", ("lm", "codes", "codec")),
    "cosyvoice": Maker(
        f"{_COSYVOICE}.assemble:CosyVoiceModelRecipe",
        f"{_COSYVOICE}.assemble:assemble_model",
        ("lm", "codes", "corpus", "speech_tokenizer", "speaker", "flow", "vocoder"),
    ),
}


@dataclass(frozen=True)
class FineTuning:
    """How a family becomes somebody's voice: functions of a `Tuning`, as ``module:name``; what an adapter adapts."""

    steps: str
    assemble: str
    adapted: str


FINE_TUNINGS: Mapping[str, FineTuning] = {
    "higgs": FineTuning(f"{_HIGGS}.tuning:steps", f"{_HIGGS}.tuning:assemble", f"{_HIGGS}.tuning:ADAPTED"),
    "cosyvoice": FineTuning(
        f"{_COSYVOICE}.tuning:steps", f"{_COSYVOICE}.tuning:assemble", f"{_COSYVOICE}.tuning:ADAPTED"
    ),
}

ENCODERS = (f"{_COSYVOICE}.encoders:find_encoder", f"{_HIGGS}.encoders:find_encoder")
EMBEDDERS = (f"{_COSYVOICE}.encoders:find_embedder",)


def make_task(name: str, path: Path, sources: Sources) -> tuple[Task[Any], Budget, ParallelConfig]:
    """The task of a recipe file, its budget, and how it lies over processes.

    Raises:
        FileMissingError: there is no such recipe, or a folder does not hold what it should.
        ConfigError: the recipe is none, or needs a folder that is not given.
    """
    maker, recipe = _read(TRAININGS[name].makers, path)
    return load(maker.make)(recipe, sources), recipe.budget, recipe.parallel


def assemble(path: Path, sources: Sources, out: Path) -> Path:
    """Write the model's folder that a recipe file describes; returns it.

    Raises:
        FileMissingError, CheckpointError: as the family's own assembly.
        ConfigError: the recipe is none, or needs a folder that is not given.
    """
    maker, recipe = _read(ASSEMBLIES, path)
    written: Path = load(maker.make)(recipe, sources, out)
    return written


def load_encoder(folder: Path, sample_rate: int) -> Encoder:
    """What a training exported that turns a corpus at ``sample_rate`` into codes.

    Raises:
        ConfigError: the folder holds nothing of the kind.
        CheckpointError: the tensors do not fit the config.
    """
    return _find(ENCODERS, folder, sample_rate, "codec or speech tokenizer")


def load_embedder(folder: Path, sample_rate: int) -> Embedder:
    """What a training exported that tells who speaks in a corpus at ``sample_rate``.

    Raises:
        ConfigError: the folder holds nothing of the kind.
        CheckpointError: the tensors do not fit the config.
    """
    return _find(EMBEDDERS, folder, sample_rate, "speaker encoder")


def load(place: str) -> Any:
    """What stands at ``module:name``."""
    module, name = place.split(":")
    return getattr(import_module(module), name)


def _read(makers: Mapping[str, Maker], path: Path) -> tuple[Maker, Any]:
    maker = next(iter(makers.values())) if len(makers) == 1 else makers[family_of(path, makers)]
    return maker, read_recipe(load(maker.recipe), path)


def _find(finders: tuple[str, ...], folder: Path, sample_rate: int, what: str) -> Any:
    for finder in finders:
        if found := load(finder)(folder, sample_rate):
            return found
    raise ConfigError(f"'{folder}' holds no trained {what}; name the folder of a finished training")
