"""Models in few bits: how far their logits are from full precision, that they are saved as they are, and refusals."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn

import parlando
from parlando.core.errors import CheckpointError, ConfigError
from parlando.core.types import Frame
from parlando.models.registry import load_model, quantize_folder
from parlando.nn.quantized import QuantizedEmbedding, QuantizedLinear, is_quantized

# Root mean square of the logits' error as a share of their own, on random weights; those of training are easier.
WORST = {"int8": 0.03, "int4": 0.25}


@pytest.fixture(params=["higgs", "cosyvoice"])
def folder(request, tiny_folder, tiny_cosyvoice_folder):
    return {"higgs": tiny_folder, "cosyvoice": tiny_cosyvoice_folder}[request.param]


def prompt_of(model):
    return model.prompts.build("Good morning to you.", model.voices[model.default_voice])


def logits_of(model):
    lm, prompt = model.lm, prompt_of(model)
    return lm.prefill(prompt, lm.new_cache(1, len(prompt) + 1), 0).ranking.logits.clone()


def loaded(folder, **options):
    with parlando.load(folder, device="cpu", **options) as synthesizer:
        return synthesizer.model


def speech(folder, **options):
    with parlando.load(folder, device="cpu", **options) as synthesizer:
        return synthesizer.say("Good morning to you.", seed=3, max_frames=12).samples


@pytest.mark.parametrize("kind", WORST)
def test_logits_stay_near_those_of_full_precision(folder, kind):
    full, few = (logits_of(loaded(folder, quantize=each)) for each in (None, kind))
    error = (few - full).square().mean().sqrt() / full.std()
    assert 0 < error < WORST[kind]


@pytest.mark.parametrize("kind", WORST)
def test_what_is_saved_speaks_as_what_was_kept_in_memory(folder, kind, tmp_path):
    saved = quantize_folder(folder, tmp_path / "few", kind)
    assert json.loads((saved / "config.json").read_text())["quantize"] == kind
    assert (saved / "lm.safetensors").stat().st_size < 0.6 * (folder / "lm.safetensors").stat().st_size
    spoken = speech(folder, quantize=kind)
    assert len(spoken)
    assert np.array_equal(speech(saved), spoken)
    assert np.array_equal(speech(saved, quantize=kind), spoken)
    other = next(each for each in WORST if each != kind)
    with pytest.raises(ConfigError, match=f"is stored as {kind} and cannot become {other}"):
        loaded(saved, quantize=other)
    with pytest.raises(ConfigError, match=f"is stored as {kind} and cannot become {other}"):
        quantize_folder(saved, tmp_path / "again", other)
    with pytest.raises(ConfigError, match=f"is stored as {kind}, which takes no adapter"):
        loaded(saved, adapter=tmp_path)


def test_every_layer_of_the_language_model_and_of_the_flow_is_kept_in_few_bits(folder):
    model = loaded(folder, quantize="int8")
    few = [part for part in vars(model.parts).values() if isinstance(part, nn.Module) and is_quantized(part)]
    assert model.parts.lm in few
    assert hasattr(model.parts, "flow") == (getattr(model.parts, "flow", None) in few)
    for part in (model.parts.lm, getattr(model.parts, "flow", model.parts.lm)):
        assert [name for name, each in part.named_modules() if isinstance(each, nn.Linear | nn.Embedding)] == []
        assert any(isinstance(each, QuantizedEmbedding) for each in part.modules())
        assert any(isinstance(each, QuantizedLinear) for each in part.modules())


def test_a_row_does_not_depend_on_its_neighbours(folder):
    model = loaded(folder, quantize="int8")
    lm, prompt = model.lm, prompt_of(model)
    frame = Frame(model.config.lm.audio_out_bos_id) if model.family == "higgs" else Frame(model.config.lm.task_id)
    found = []
    for rows in (1, 3):
        cache = lm.new_cache(rows, len(prompt) + 2)
        for row in range(rows):
            lm.prefill(prompt, cache, row)
        results = lm.step([frame] * rows, cache)
        found.append(results[0].ranking.logits[0].clone())
    assert torch.equal(*found)


def test_half_precision_computes_with_few_bits_too(folder):
    wide, narrow = (logits_of(loaded(folder, quantize="int8", dtype=dtype)) for dtype in ("float32", "bfloat16"))
    assert (narrow - wide).square().mean().sqrt() / wide.std() < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "int3"}, "quantize: 'int3' is not known; use int8, int4, fp8"),
        ({"quantize": "fp8"}, "fp8 needs a GPU"),
        ({"flow": {"solver_step": 3}}, "Did you mean 'solver_steps'"),
        ({"flow": {"solver_steps": 0}}, "solver_steps: 0 is out of range"),
    ],
)
def test_what_cannot_be_had_is_refused(tiny_cosyvoice_folder, options, message):
    with pytest.raises(ConfigError, match=message):
        parlando.load(tiny_cosyvoice_folder, device="cpu", **options)


def test_a_model_without_a_flow_has_no_options_of_one(tiny_folder):
    with pytest.raises(ConfigError, match="has no flow; leave the options of one out"):
        parlando.load(tiny_folder, device="cpu", flow={"solver_steps": 3})


def test_options_of_the_flow_are_those_of_the_loaded_one(tiny_cosyvoice_folder):
    model = loaded(tiny_cosyvoice_folder, flow={"solver_steps": 1, "left_chunks": 2, "first_tokens": 3})
    flow = model.parts.flow
    assert (flow.config.solver_steps, flow.config.encoder.left_chunks, flow.config.first_tokens) == (1, 2, 3)
    assert flow.encoder.config.left_chunks == flow.decoder.config.encoder.left_chunks == 2


def test_a_file_in_few_bits_that_its_config_does_not_tell_of_is_refused(folder, tmp_path):
    saved = quantize_folder(folder, tmp_path / "few", "int8")
    config = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**config, "quantize": None}))
    with pytest.raises(CheckpointError, match=r"weights must be floating-point numbers: .*kept is int8"):
        load_model(saved, "cpu")
    shutil.copy(folder / "lm.safetensors", saved / "lm.safetensors")
    (saved / "config.json").write_text(json.dumps({**config, "quantize": "int8"}))
    with pytest.raises(CheckpointError, match=r"missing: .*kept"):
        load_model(saved, "cpu")
