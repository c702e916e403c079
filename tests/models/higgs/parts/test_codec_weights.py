"""Codec checkpoints in every layout and spelling, and what is said about those that do not fit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from parlando.core.errors import CheckpointError, ConfigError, FileMissingError
from parlando.models.higgs.parts.codec import build_codec
from parlando.models.higgs.parts.codec_config import (
    config_from_original,
    config_from_transformers,
    config_to_transformers,
    is_audio_tokenizer,
)
from parlando.models.higgs.parts.codec_weights import (
    load_codec,
    load_published_codec,
    save_codec,
    save_published_codec,
    to_own_layout,
)
from parlando.models.higgs.parts.dac import DacConfig
from parlando.models.higgs.parts.hubert import HubertConfig
from parlando.models.higgs.parts.semantic import SemanticConfig
from parlando.models.higgs.parts.spectral import SpectralCodec, SpectralCodecConfig
from parlando.models.higgs.parts.unified_codec import UnifiedCodecConfig
from parlando.nn.checkpoint import load_strictly, read_tensors

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "higgs"
TINY = GOLDEN / "codec_tiny"
POSITION = "semantic_model.encoder.pos_conv_embed.conv"
PARTS = {"snake1": 0, "conv1": 1, "snake2": 2, "conv2": 3}
NORMED = re.compile(r"acoustic_(en|de)coder\.(.*\.)?conv(_t)?\d\.weight$")


UNIT = re.compile(r"block\.(\d)\.res_unit(\d)\.(\w+)\.(\w+)$")
OUTER = re.compile(r"block\.(\d)\.(\w+)\.(\w+)$")
HALVES = {
    "acoustic_encoder.": ("encoder.block", 0, {"snake1": 3, "conv1": 4}),
    "acoustic_decoder.": ("decoder_2.model", 2, {"snake1": 0, "conv_t1": 1}),
}
ENDS = {"conv1": 0, "snake1": 6, "conv2": 7}


def _acoustic_key(half: str, key: str) -> str:
    theirs, first, outer = HALVES[half]
    if unit := UNIT.match(key):
        return f"{theirs}.{int(unit[1]) + 1}.block.{first + int(unit[2]) - 1}.block.{PARTS[unit[3]]}.{unit[4]}"
    if found := OUTER.match(key):
        return f"{theirs}.{int(found[1]) + 1}.block.{outer[found[2]]}.{found[3]}"
    name, leaf = key.split(".")
    return f"{theirs}.{ENDS[name]}.{leaf}"


def _original_key(key: str) -> str:
    """A key of ours as the original file spells it, written from the published table apart from the loader's map."""
    for half in HALVES:
        if key.startswith(half):
            return _acoustic_key(half, key.removeprefix(half))
    if "coder_semantic" in key and not re.search(r"res_units\.\d\.conv2", key):
        return re.sub(r"(conv|conv1|conv2)(\.weight|\.bias)$", r"\1.conv\2", key)
    for ours, theirs in (("fc.", "fc_prior."), ("fc1.", "fc_post1."), ("fc2.", "fc_post2.")):
        key = re.sub(rf"^{re.escape(ours)}", theirs, key)
    return key.replace("quantizer.quantizers.", "quantizer.vq.layers.").replace(".codebook.", "._codebook.")


def _split(weight: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Gain and direction of weight norm, the direction of another length than the weight."""
    return weight.norm(dim=dims, keepdim=True), weight * 3.0


def _to_original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    original = {}
    for key, tensor in tensors.items():
        name = _original_key(key)
        if NORMED.match(key):
            stem = name.removesuffix("weight")
            original[f"{stem}weight_g"], original[f"{stem}weight_v"] = _split(tensor, (1, 2))
        else:
            original[name] = tensor
    return original


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return load_file(TINY / "model.safetensors")


@pytest.fixture(scope="module")
def io() -> dict[str, Tensor]:
    return load_file(TINY / "io.safetensors")


@pytest.fixture
def folder(tmp_path) -> Path:
    shutil.copy(TINY / "config.json", tmp_path)
    return tmp_path


def test_the_original_pth_gives_the_same_codes_and_its_own_padding(folder, tensors, io):
    original = _to_original(tensors) | {"fc1.weight": torch.zeros(3, 3)}
    torch.save(original, folder / "model.pth")
    codec = load_published_codec(folder)
    assert codec.config.padding == "original"
    assert torch.equal(codec.encode(io["wav"][None, :25_000])[0], io["codes_25000"])
    assert (codec.decode(io["random_codes"]) - io["random_decoded"][:, 0]).abs().max() < 1e-5
    same = load_published_codec(folder, padding="transformers")
    assert torch.equal(same.encode(io["wav"][None, :24_480])[0], io["codes_24480"])


def test_the_published_original_has_601_tensors_that_all_find_their_place():
    shapes = json.loads((GOLDEN / "manifest_codec_transformers_layout.json").read_text())
    original = _to_original({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})
    assert len(original) == 601
    for key in (
        "encoder.block.0.weight_g",
        "encoder.block.5.block.2.block.3.weight_v",
        "encoder.block.3.block.3.alpha",
        "encoder.block.7.bias",
        "decoder_2.model.1.block.1.weight_g",
        "decoder_2.model.5.block.4.block.0.alpha",
        "decoder_2.model.6.alpha",
        "encoder_semantic.conv.conv.weight",
        "encoder_semantic.conv_blocks.1.res_units.0.conv1.conv.weight",
        "encoder_semantic.conv_blocks.1.res_units.0.conv2.weight",
        "encoder_semantic.conv_blocks.0.conv.conv.bias",
        "decoder_semantic.conv2.conv.weight",
        "quantizer.vq.layers.7._codebook.embed_avg",
        "fc_post2.bias",
    ):
        assert key in original
    own = to_own_layout(original, UnifiedCodecConfig())
    assert {key: list(tensor.shape) for key, tensor in own.items()} == shapes


@pytest.mark.parametrize("spelling", ["weight_g/weight_v", "parametrizations", "plain"])
def test_every_spelling_of_weight_norm_loads(folder, tensors, io, spelling):
    spelt = dict(tensors)
    gain, vectors = (spelt.pop(f"{POSITION}.parametrizations.weight.original{i}") for i in range(2))
    if spelling == "plain":
        spelt[f"{POSITION}.weight"] = vectors * (gain / vectors.norm(dim=(0, 1), keepdim=True))
    names = (
        ("weight_g", "weight_v")
        if spelling.startswith("weight_g")
        else tuple(f"parametrizations.weight.original{i}" for i in (0, 1))
    )
    if spelling != "plain":
        spelt |= {f"{POSITION}.{names[0]}": gain, f"{POSITION}.{names[1]}": vectors}
        for key in [key for key in tensors if NORMED.match(key)]:
            parts = _split(spelt.pop(key), (1, 2))
            spelt |= {f"{key.removesuffix('weight')}{name}": part for name, part in zip(names, parts, strict=True)}
    save_file(spelt, folder / "model.safetensors")
    codec = load_published_codec(folder)
    assert torch.equal(codec.encode(io["wav"][None, :24_000])[0], io["codes_24000"])
    assert (codec.decode(io["random_codes"]) - io["random_decoded"][:, 0]).abs().max() < 1e-5


def test_half_precision_files_become_float32(folder, tensors):
    save_file({key: tensor.bfloat16() for key, tensor in tensors.items()}, folder / "model.safetensors")
    codec = load_published_codec(folder)
    assert {tensor.dtype for tensor in codec.state_dict().values()} == {torch.float32}


def test_the_language_model_under_the_codecs_name_is_passed_over(folder, tensors):
    save_file({"model.layers.0.self_attn.q_proj.weight": torch.zeros(2, 2)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"tensors of the language model.*model\.pth"):
        load_published_codec(folder)
    torch.save(_to_original(tensors), folder / "model.pth")
    assert load_published_codec(folder).num_codebooks == 8


def test_what_is_missing_unexpected_or_misshapen_is_named(folder, tensors):
    wrong = dict(tensors)
    del wrong["fc.bias"]
    wrong["fc3.bias"] = torch.zeros(1)
    wrong["fc2.bias"] = torch.zeros(5)
    save_file(wrong, folder / "model.safetensors")
    with pytest.raises(CheckpointError) as caught:
        load_published_codec(folder)
    message = str(caught.value)
    assert "1 missing: fc.bias; 1 unexpected: fc3.bias; 1 misshapen: fc2.bias is [5], not [32]" in message
    assert "model.safetensors" in message


def test_long_lists_are_cut(tensors):
    with torch.device("meta"):
        codec = build_codec(UnifiedCodecConfig())
    with pytest.raises(CheckpointError, match=r"and \d+ more"):
        load_strictly(codec, tensors, "here")


def test_a_gain_without_its_direction_is_unexpected(folder, tensors):
    save_file(tensors | {"fc.weight_g": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"unexpected: fc\.weight_g"):
        load_published_codec(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_damaged_files_are_checkpoint_errors(folder, name):
    (folder / name).write_bytes(b"not tensors at all")
    with pytest.raises(CheckpointError, match=rf"{re.escape(name)}: cannot be read"):
        load_published_codec(folder)


def test_other_content_and_no_file_at_all(folder):
    with pytest.raises(FileMissingError, match=r"model\.safetensors or .* or model\.pth"):
        load_published_codec(folder)
    torch.save({"epoch": 3}, folder / "model.pth")
    with pytest.raises(CheckpointError, match="expected tensors by name"):
        load_published_codec(folder)
    with pytest.raises(FileMissingError):
        read_tensors(folder / "codec.safetensors")


@pytest.mark.parametrize("kind", ["dac", "spectral"])
def test_a_codec_saved_and_loaded_is_the_same(tmp_path, kind):
    codec = load_published_codec(TINY)
    if kind == "spectral":
        codec = SpectralCodec(
            SpectralCodecConfig(fine_dim=8, coarse_dim=8, hidden_dim=8, latent_dim=8, num_bands=8)
        ).eval()
    assert save_codec(codec, tmp_path) == tmp_path / "codec.safetensors"
    loaded = load_codec(tmp_path, codec.config)
    codes = torch.randint(codec.codebook_size, (1, codec.num_codebooks, 6))
    assert torch.equal(loaded.decode(codes), codec.decode(codes))


def test_published_configs_are_read():
    published = json.loads((TINY / "config.json").read_text())
    config = config_from_transformers(published)
    assert (config.num_codebooks, config.codebook_size, config.semantic_stride) == (8, 64, 2)
    assert (config.acoustic_padding_samples, config.teacher.position_kernel) == (480, 16)
    original = {"sample_rate": 24_000, "ratios": [8, 5, 4, 2, 3], "D": 256, "bins": 1024, "n_q": 8, "n_filters": 32}
    assert config_from_original(original) == UnifiedCodecConfig(padding="original")
    assert config_from_original(original).acoustic_padding_samples == 320
    assert config_from_transformers({}) == UnifiedCodecConfig()


def test_a_codec_written_as_published_is_read_as_it_was(tmp_path, tensors):
    codec = load_published_codec(TINY)
    assert save_published_codec(codec, tmp_path) == tmp_path / "model.safetensors"
    written, again = load_file(tmp_path / "model.safetensors"), load_published_codec(tmp_path)
    assert again.config == codec.config
    assert written.keys() == again.state_dict().keys() == tensors.keys() - {"semantic_model.masked_spec_embed"}
    assert all(torch.equal(written[key], tensors[key]) for key in written)


def test_the_published_config_written_is_read_as_it_was():
    large = HubertConfig(1024, 24, 16, 4096, conv_bias=True, conv_norm="layer", norm_first=True)
    for config in (
        UnifiedCodecConfig(),
        UnifiedCodecConfig(
            teacher=large, semantic=SemanticConfig(5, 7, 3, (1, 2)), acoustic=DacConfig(8, 64, 16, (8, 5, 4, 3))
        ),
    ):
        data = json.loads(json.dumps(config_to_transformers(config)))
        assert config_from_transformers(data) == config
        assert is_audio_tokenizer(data)


def test_the_published_bandwidths_mean_so_many_codebooks_to_everybody():
    published = config_to_transformers(UnifiedCodecConfig())
    assert published["target_bandwidths"] == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0]
    for count in range(1, 65):
        for size in (2, 60, 64, 500, 1024, 16384):
            for ratios in ((8, 5, 4, 2, 3), (8, 5, 4, 3), (6, 5, 4, 5)):
                config = UnifiedCodecConfig(num_codebooks=count, codebook_size=size, acoustic=DacConfig(ratios=ratios))
                assert config_from_transformers(config_to_transformers(config)).num_codebooks == count


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strides": [1, 2]}, "must all be 1"),
        ({"semantic_model_config": {"conv_pos_batch_norm": True}}, r"conv_pos_batch_norm: True is not supported"),
        ({"acoustic_model_config": {"downsampling_ratios": [8, 2], "upsampling_ratios": [2, 8]}}, "same order"),
        ({"codebook_dim": "wide"}, "expected int"),
    ],
)
def test_what_is_not_implemented_is_a_config_error(change, message):
    with pytest.raises(ConfigError, match=message):
        config_from_transformers(change)


def test_other_semantic_modes_of_the_original_are_refused():
    with pytest.raises(ConfigError, match=r"downsample_mode: 'avg' is not supported"):
        config_from_original({"downsample_mode": "avg"})
