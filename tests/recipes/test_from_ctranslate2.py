"""A Whisper in CTranslate2's layout becomes the published one, and its tower loads."""

from __future__ import annotations

import importlib.util
import struct

import numpy as np
import pytest
import torch

from parlando.models.understanding.config import UnderstandingConfig
from parlando.models.understanding.network import UnderstandingNetwork
from parlando.models.understanding.weights import load_published, published_config

DIM, BANDS, FFN, PLACES = 128, 80, 32, 20
HALF, WORD = 4, 3


@pytest.fixture(scope="module")
def recipe(root):
    path = root / "recipes" / "understanding" / "from_ctranslate2.py"
    spec = importlib.util.spec_from_file_location("from_ctranslate2", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arrays():
    random = np.random.default_rng(3)
    shapes = {
        "conv1/weight": (DIM, BANDS, 3),
        "conv1/bias": (DIM,),
        "conv2/weight": (DIM, DIM, 3),
        "conv2/bias": (DIM,),
    }
    shapes |= {"position_encodings/encodings": (PLACES, DIM), "layer_norm/gamma": (DIM,), "layer_norm/beta": (DIM,)}
    for number in range(2):
        own = {"self_attention/linear_0": (3 * DIM, DIM), "self_attention/linear_1": (DIM, DIM)}
        own |= {"ffn/linear_0": (FFN, DIM), "ffn/linear_1": (DIM, FFN)}
        for name, shape in own.items():
            shapes |= {f"layer_{number}/{name}/weight": shape, f"layer_{number}/{name}/bias": shape[:1]}
        for name in ("self_attention", "ffn"):
            shapes |= {f"layer_{number}/{name}/layer_norm/{kind}": (DIM,) for kind in ("gamma", "beta")}
    return {name: random.normal(size=shape).astype(np.float16) for name, shape in shapes.items()}


def text(value):
    return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"


def write(path, own, kind=HALF):
    entries = [(f"encoder/{name}", kind, array) for name, array in own.items()]
    entries.append(("decoder/start_from_zero_embedding", WORD, np.zeros((), np.int32)))
    parts = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<II", 3, len(entries))]
    for name, code, array in entries:
        parts += [text(name), struct.pack("<B", array.ndim), struct.pack(f"<{array.ndim}I", *array.shape)]
        parts += [struct.pack("<BI", code, array.nbytes), array.tobytes()]
    path.mkdir(exist_ok=True)
    (path / "model.bin").write_bytes(b"".join(parts))


def test_the_tower_is_the_one_that_was_kept(recipe, tmp_path):
    own = arrays()
    write(tmp_path / "ct2", own)
    recipe.main(str(tmp_path / "ct2"), str(tmp_path / "tower"))
    config = published_config(tmp_path / "tower", UnderstandingConfig())
    assert (config.tower.d_model, config.tower.encoder_layers, config.tower.encoder_attention_heads) == (DIM, 2, 2)
    network = UnderstandingNetwork(config)
    load_published(tmp_path / "tower", network)
    tower = network.audio_tower
    joined = torch.from_numpy(own["layer_1/self_attention/linear_0/weight"].astype(np.float32))
    assert torch.equal(tower.layers[1].self_attn.k_proj.weight, joined[DIM : 2 * DIM])
    assert torch.equal(tower.layers[1].self_attn.v_proj.weight, joined[2 * DIM :])
    norm = torch.from_numpy(own["layer_0/ffn/layer_norm/gamma"].astype(np.float32))
    assert torch.equal(tower.layers[0].final_layer_norm.weight, norm)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda data: data[: len(data) // 2], "ends too soon|cut off"),
        (lambda data: struct.pack("<I", 1) + data[4:], "version 1"),
        (lambda data: data[:3], "ends too soon"),
    ],
)
def test_damaged_files_are_told(recipe, tmp_path, damage, told):
    write(tmp_path / "ct2", arrays())
    path = tmp_path / "ct2" / "model.bin"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(SystemExit, match=told):
        recipe.main(str(tmp_path / "ct2"), str(tmp_path / "tower"))


def test_quantised_arrays_are_told(recipe, tmp_path):
    write(tmp_path / "ct2", {name: array.view(np.int16) for name, array in arrays().items()}, kind=2)
    with pytest.raises(SystemExit, match="quantised"):
        recipe.main(str(tmp_path / "ct2"), str(tmp_path / "tower"))
