from __future__ import annotations

import numpy as np
import pytest
import torch

from fake_judges import tone
from parlando.core.errors import CheckpointError, FileMissingError
from parlando.evaluate.judges import ecapa
from parlando.evaluate.judges.ecapa import AttentiveStatistics, Res2Conv, WavLMEcapa, WavLMSpeaker
from parlando.evaluate.judges.wavlm import WavLMSizes, from_published, new_wavlm

pytest.importorskip("transformers")
SIZES = WavLMSizes(
    hidden=32, layers=2, heads=2, feed_forward=48, conv_channels=16, position_kernel=8, position_groups=2
)


def tiny() -> WavLMEcapa:
    torch.manual_seed(0)
    return WavLMEcapa(SIZES, channels=64, pooled=96, dim=16).eval()


def published_names(model: WavLMEcapa) -> dict[str, torch.Tensor]:
    """The tensors of a model under the names of the published checkpoint, written down one by one."""
    layer = {
        "attention.gru_rel_pos_const": "self_attn.grep_a",
        "attention.gru_rel_pos_linear": "self_attn.grep_linear",
        "attention.rel_attn_embed": "self_attn.relative_attention_bias",
        "attention.q_proj": "self_attn.q_proj",
        "attention.k_proj": "self_attn.k_proj",
        "attention.v_proj": "self_attn.v_proj",
        "attention.out_proj": "self_attn.out_proj",
        "feed_forward.intermediate_dense": "fc1",
        "feed_forward.output_dense": "fc2",
        "final_layer_norm": "final_layer_norm",
        "layer_norm": "self_attn_layer_norm",
    }
    named = {}
    for name, tensor in model.state_dict().items():
        if not name.startswith("backbone."):
            named[name] = tensor
            continue
        own = name.removeprefix("backbone.")
        if own.startswith("feature_extractor."):
            _, _, number, kind, leaf = own.split(".")
            own = f"feature_extractor.conv_layers.{number}.{'0' if kind == 'conv' else '2.1'}.{leaf}"
        elif own.startswith("encoder.layers."):
            _, _, number, rest = own.split(".", 3)
            mine = next(key for key in layer if rest.startswith(key))
            own = f"encoder.layers.{number}.{layer[mine]}{rest.removeprefix(mine)}"
        else:
            own = {
                "feature_projection.layer_norm.weight": "layer_norm.weight",
                "feature_projection.layer_norm.bias": "layer_norm.bias",
                "feature_projection.projection.weight": "post_extract_proj.weight",
                "feature_projection.projection.bias": "post_extract_proj.bias",
                "encoder.pos_conv_embed.conv.bias": "encoder.pos_conv.0.bias",
                "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "encoder.pos_conv.0.weight_g",
                "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "encoder.pos_conv.0.weight_v",
                "encoder.layer_norm.weight": "encoder.layer_norm.weight",
                "encoder.layer_norm.bias": "encoder.layer_norm.bias",
            }[own]
        named[f"feature_extract.model.{own}"] = tensor
    training = {"feature_extract.model.mask_emb": torch.zeros(32), "loss_calculator.projection.weight": torch.zeros(3)}
    return {**named, **training}


def test_a_published_checkpoint_loads_whole_and_gives_the_same_embedding():
    first, second = tiny(), WavLMEcapa(SIZES, channels=64, pooled=96, dim=16).eval()
    second.load_published(published_names(first))
    wave = torch.from_numpy(tone(300, 0.5, 16000).samples)[None]
    with torch.inference_mode():
        assert torch.equal(first(wave), second(wave))
        assert first(wave).shape == (1, 16)


def test_a_tensor_too_few_is_refused():
    named = published_names(tiny())
    del named["layer3.SE_Connect.linear1.weight"]
    with pytest.raises(CheckpointError, match=r"layer3\.SE_Connect\.linear1\.weight"):
        tiny().load_published(named)


def test_the_published_names_of_wavlm_are_all_known():
    own = set(new_wavlm(SIZES).state_dict())
    named = {n.removeprefix("feature_extract.model."): t for n, t in published_names(tiny()).items() if "extract" in n}
    assert set(from_published(named)) == own


def test_statistics_with_equal_attention_are_mean_and_deviation():
    pool = AttentiveStatistics(4, 3)
    torch.nn.init.zeros_(pool.linear2.weight)
    x = torch.randn(2, 4, 50)
    expected = torch.cat([x.mean(2), x.var(2, unbiased=False).sqrt()], dim=1)
    assert torch.allclose(pool(x), expected, atol=1e-5)


def test_the_last_group_passes_and_each_sees_the_one_before():
    block = Res2Conv(16, dilation=2, scale=8).eval()
    x = torch.randn(1, 16, 20)
    changed = x.clone()
    changed[:, :2] += 1
    before, after = block(x), block(changed)
    assert torch.equal(before[:, 14:], x[:, 14:])
    assert not torch.allclose(before[:, 12:14], after[:, 12:14])


def test_the_judge_reads_a_checkpoint_file(tmp_path, monkeypatch):
    model = tiny()
    monkeypatch.setattr(ecapa, "WavLMEcapa", lambda: WavLMEcapa(SIZES, channels=64, pooled=96, dim=16))
    torch.save({"model": published_names(model)}, tmp_path / "wavlm.pth")
    judge = WavLMSpeaker(str(tmp_path / "wavlm.pth"))
    clip = tone(300, 0.5, 16000)
    with torch.inference_mode():
        expected = model(torch.from_numpy(clip.samples)[None])[0].numpy()
    assert np.allclose(judge.embed(clip), expected / np.linalg.norm(expected), atol=1e-6)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(FileMissingError, match=r"wavlm_large_finetune\.pth"):
        WavLMSpeaker(str(tmp_path / "nowhere.pth"))
