"""The golden tensors of what hears in CosyVoice2, and the two small encoders that made them; each read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from safetensors.torch import load_file

from parlando.core.config import read_json

GOLDEN = Path(__file__).resolve().parent / "golden" / "cosyvoice"


@cache
def golden(name):
    return load_file(GOLDEN / f"{name}.safetensors")


@cache
def small_tokenizer():
    from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer, SpeechTokenizerConfig
    from parlando.nn.checkpoint import load_strictly

    sizes = read_json(GOLDEN / "speech_tokenizer_small.json")
    config = SpeechTokenizerConfig(
        hidden_size=sizes["n_audio_state"], num_heads=sizes["n_audio_head"], num_layers=sizes["n_audio_layer"]
    )
    made = SpeechTokenizer(config).eval()
    # The tensors are named as in the PyTorch port that is published as ``s3tokenizer``.
    theirs, ours = "quantizer._codebook.project_down.", "quantizer.project_in."
    tensors = {key.replace(theirs, ours): tensor for key, tensor in golden("speech_tokenizer_small").items()}
    load_strictly(made, tensors, "golden")
    return made


@cache
def small_campplus():
    from parlando.models.cosyvoice.parts.campplus import CampPlus, CampPlusConfig
    from parlando.nn.checkpoint import load_strictly

    sizes = read_json(GOLDEN / "campplus_small.json")
    made = CampPlus(CampPlusConfig(growth=sizes["growth_rate"], initial_channels=sizes["init_channels"])).eval()
    load_strictly(made, golden("campplus_small"), "golden")
    return made
