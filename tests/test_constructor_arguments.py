"""Every argument of the published constructors: in the documents' tables, with the effect or warning they say."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest
import torch

from parlando.cosyvoice.arguments import EngineArguments
from parlando.cosyvoice.inference import CosyVoice2
from parlando.higgs.serve_engine import HiggsAudioServeEngine
from parlando.nn.quantized import is_quantized

ROW = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.M)
TABLES = {"CosyVoice2": "Of `CosyVoice2`:", "HiggsAudioServeEngine": "Of `HiggsAudioServeEngine`:"}

# What is given, and how it is seen in the loaded model.
COSYVOICE_EFFECTS = {
    "load_in_8bit": (True, lambda made: is_quantized(made._model.parts.flow) and is_quantized(made._model.parts.lm)),
    "chunk_size": (3, lambda made: (made._arguments.schedule.first, made._model.config.flow.first_tokens) == (3, 3)),
    "num_decoding_left_chunks": (2, lambda made: made._model.parts.flow.encoder.config.left_chunks == 2),
    "max_concurrent": (3, lambda made: made._synthesizer.rows == 3),
    "max_batch_size": (2, lambda made: made._synthesizer.rows == 2),
}
COSYVOICE_WARNINGS = {
    "load_jit": True,
    "load_trt": True,
    "load_vllm": True,
    "trt_engine": True,
    "trt_concurrent": 2,
    "buffer_size": 2048,
    "enable_kv_cache": False,
}
HIGGS_EFFECTS = {
    "torch_dtype": ("bfloat16", lambda made: made._model.parts.lm.norm.weight.dtype == torch.bfloat16),
    "kv_cache_lengths": ([64, 128], lambda made: made._synthesizer.engine.length == 128),
    "load_in_8bit": (True, lambda made: is_quantized(made._model.parts.lm)),
    "device": ("cpu", lambda made: made._model.device.type == "cpu"),
}
HIGGS_WARNINGS = {"torch_compile": True}
FOLDERS = (
    "model_name_or_path",
    "audio_tokenizer_name_or_path",
    "tokenizer_name_or_path",
)  # test_higgs_compat loads them


def documented(root, start):
    text = (root / "docs" / "models.md").read_text(encoding="utf-8").split(start)[1]
    return dict(ROW.findall(text.split("\n\n")[1]))


@pytest.mark.parametrize("name", TABLES)
def test_the_table_has_every_argument_and_says_which_only_warn(root, name):
    arguments, effects, warnings = {
        "CosyVoice2": (
            {field.name for field in dataclasses.fields(EngineArguments)},
            {*COSYVOICE_EFFECTS, "fp16"},
            set(COSYVOICE_WARNINGS),
        ),
        "HiggsAudioServeEngine": (
            set(inspect.signature(HiggsAudioServeEngine).parameters),
            {*HIGGS_EFFECTS, *FOLDERS},
            set(HIGGS_WARNINGS),
        ),
    }[name]
    told = documented(root, TABLES[name])
    assert set(told) == arguments == effects | warnings
    assert {argument for argument, what in told.items() if what.startswith("warning")} == warnings


@pytest.mark.parametrize("argument", COSYVOICE_EFFECTS)
def test_an_argument_of_cosyvoice_has_its_effect(tiny_cosyvoice_folder, argument, caplog):
    value, is_seen = COSYVOICE_EFFECTS[argument]
    assert is_seen(CosyVoice2(tiny_cosyvoice_folder, **{argument: value}))
    assert not is_seen(CosyVoice2(tiny_cosyvoice_folder))
    assert caplog.text == ""


@pytest.mark.parametrize("argument", COSYVOICE_WARNINGS)
def test_an_argument_of_cosyvoice_without_effect_warns(argument, caplog):
    EngineArguments(**{argument: COSYVOICE_WARNINGS[argument]}).warn()
    assert [record.getMessage().split(" is not used here: ")[0] for record in caplog.records] == [argument]


@pytest.mark.parametrize(
    ("on_gpu", "has_units", "dtype"), [(True, False, "float16"), (False, True, "auto"), (False, False, "auto")]
)
def test_fp16_is_what_the_device_is_fast_with(tiny_cosyvoice_folder, monkeypatch, caplog, on_gpu, has_units, dtype):
    made = CosyVoice2(tiny_cosyvoice_folder, fp16=False)
    made._arguments = dataclasses.replace(made._arguments, fp16=True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: on_gpu)
    monkeypatch.setattr("parlando.nn.placement.has_matrix_units", lambda: has_units)
    assert made._dtype() == dtype


def test_fp16_of_a_small_model_without_a_gpu_warns(tiny_cosyvoice_folder, caplog):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert CosyVoice2(tiny_cosyvoice_folder, fp16=True)._model.dtype == torch.float32
    assert "float32 is used" in caplog.text


@pytest.mark.parametrize("argument", HIGGS_EFFECTS)
def test_an_argument_of_higgs_has_its_effect(tiny_folder, argument, caplog):
    value, is_seen = HIGGS_EFFECTS[argument]
    made = HiggsAudioServeEngine(tiny_folder, **{"device": "cpu", argument: value})
    assert is_seen(made)
    made.close()
    assert caplog.text == ""


@pytest.mark.parametrize("argument", HIGGS_WARNINGS)
def test_an_argument_of_higgs_without_effect_warns(tiny_folder, argument, caplog):
    HiggsAudioServeEngine(tiny_folder, device="cpu", **{argument: HIGGS_WARNINGS[argument]}).close()
    assert [record.getMessage().split(" is not used here: ")[0] for record in caplog.records] == [argument]
