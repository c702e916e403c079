"""A published CosyVoice2 folder with tiny parts: every file in its published form."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import torch
from torch import nn

import onnx_writer
from cosyvoice_tiny import ENCODER, FLOW, HIFT, LM, SPEAKER_NET, SPEECH_TOKENIZER
from parlando.core.folder import write_json
from parlando.models.cosyvoice.build import PublishedSizes
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_weights import to_published_layout
from parlando.models.cosyvoice.parts.campplus import CampPlus
from parlando.models.cosyvoice.parts.flow import Flow
from parlando.models.cosyvoice.parts.hift import HiFT
from parlando.models.cosyvoice.parts.speech_tokenizer import SpeechTokenizer

SIZES = PublishedSizes(SPEECH_TOKENIZER, SPEAKER_NET)
BACKBONE = replace(LM, vocab_size=400, min_frames_per_token=2.0, max_frames_per_token=20.0, group_text_tokens=5)
EXECUTED = "was-executed"
SETTINGS = """\
__seed1: !apply:random.seed [1986]
__seed2: !apply:torch.manual_seed [1986]
__ran: !apply:os.mkdir ["%(trap)s"]
__made: !new:pathlib.Path
    - "%(trap)s"
sample_rate: 24000
width: 32
speaker_numbers: 16
text_path: ''
tokens_a_second: 5
frames_a_token: 2
llm: !new:cosyvoice.llm.llm.Qwen2LM
    llm_input_size: !ref <width>
    llm_output_size: !ref <width>
    speech_token_size: 81
    length_normalized_loss: True
    lsm_weight: 0
    mix_ratio: [5, 15]
    llm: !new:cosyvoice.llm.llm.Qwen2Encoder
        pretrain_path: !ref <text_path>
    sampling: !name:cosyvoice.utils.common.ras_sampling
        top_p: 0.7
        top_k: 20
        win_size: 10
        tau_r: 0.2
flow: !new:cosyvoice.flow.flow.CausalMaskedDiffWithXvec
    input_size: 16
    output_size: 80
    spk_embed_dim: !ref <speaker_numbers>
    output_type: 'mel'
    vocab_size: 81
    input_frame_rate: !ref <tokens_a_second>
    only_mask_loss: True
    token_mel_ratio: !ref <frames_a_token>
    pre_lookahead_len: 3
    encoder: !new:cosyvoice.transformer.upsample_encoder.UpsampleConformerEncoder
        input_size: 16
        output_size: 16
        attention_heads: 2
        linear_units: 32
        num_blocks: 1
        dropout_rate: 0.1
        positional_dropout_rate: 0.1
        attention_dropout_rate: 0.1
        normalize_before: True
        input_layer: 'linear'
        pos_enc_layer_type: 'rel_pos_espnet'
        selfattention_layer_type: 'rel_selfattn'
        use_cnn_module: False
        macaron_style: False
        use_dynamic_chunk: True
    decoder: !new:cosyvoice.flow.flow_matching.CausalConditionalCFM
        in_channels: 240
        n_spks: 1
        spk_emb_dim: 80
        cfm_params: !new:omegaconf.DictConfig
            content:
                sigma_min: 1e-06
                solver: 'euler'
                t_scheduler: 'cosine'
                training_cfg_rate: 0.2
                inference_cfg_rate: 0.7
                reg_loss_type: 'l1'
        estimator: !new:cosyvoice.flow.decoder.CausalConditionalDecoder
            in_channels: 320
            out_channels: 80
            channels: [16]
            dropout: 0.0
            attention_head_dim: 8
            n_blocks: 1
            num_mid_blocks: 1
            num_heads: 2
            act_fn: 'gelu'
            static_chunk_size: !ref <tokens_a_second> * <frames_a_token>
            num_decoding_left_chunks: 2
hift: !new:cosyvoice.hifigan.generator.HiFTGenerator
    in_channels: 80
    base_channels: 16
    nb_harmonics: 8
    sampling_rate: !ref <sample_rate>
    nsf_alpha: 0.1
    nsf_sigma: 0.003
    nsf_voiced_threshold: 10
    upsample_rates: [8, 5, 3]
    upsample_kernel_sizes: [16, 11, 7]
    istft_params: {n_fft: 16, hop_len: 4}
    resblock_kernel_sizes: [3]
    resblock_dilation_sizes: [[1]]
    source_resblock_kernel_sizes: [7, 7, 11]
    source_resblock_dilation_sizes: [[1], [1], [1]]
    lrelu_slope: 0.1
    audio_limit: 0.99
    f0_predictor: !new:cosyvoice.hifigan.f0_predictor.ConvRNNF0Predictor
        num_class: 1
        in_channels: 80
        cond_channels: 16
hifigan: !new:cosyvoice.hifigan.hifigan.HiFiGan
    generator: !ref <hift>
    mel_spec_transform: [!ref <tokens_a_second>]
tokenize: !name:cosyvoice.dataset.processor.tokenize
    allowed_special: 'all'
"""


def write_published(folder: Path, prefix: str = "", seed: int = 0) -> Path:
    """Random weights in all parts; ``prefix`` stands before the vocoder's keys; no preset speakers."""
    text = folder / "CosyVoice-BlankEN"
    text.mkdir(parents=True)
    (folder / "cosyvoice2.yaml").write_text(SETTINGS % {"trap": folder / EXECUTED}, encoding="utf-8")
    write_json(folder / "config.json", {})
    write_json(text / "config.json", _qwen2_config())
    _write_byte_pairs(text)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        parts = _parts()
    flow, hift, lm = (parts[name].state_dict() for name in ("flow", "hift", "lm"))
    torch.save(to_published_layout(lm), folder / "llm.pt")
    torch.save(flow, folder / "flow.pt")
    torch.save({prefix + key: tensor.float() for key, tensor in hift.items()}, folder / "hift.pt")
    onnx_writer.write_speech_tokenizer(parts["speech_tokenizer"], folder / "speech_tokenizer_v2.onnx")
    onnx_writer.write_campplus(parts["speaker"], folder / "campplus.onnx", {})
    return folder


def _parts() -> dict[str, nn.Module]:
    flow = replace(FLOW, solver_steps=10, encoder=replace(ENCODER, num_up_layers=4))
    return {
        "lm": CosyVoiceLM(BACKBONE),
        "flow": Flow(flow),
        "hift": HiFT(HIFT),
        "speech_tokenizer": SpeechTokenizer(SPEECH_TOKENIZER).eval(),
        "speaker": CampPlus(SPEAKER_NET).eval(),
    }


def _qwen2_config() -> dict:
    sizes = asdict(BACKBONE)
    names = {
        "num_hidden_layers": "num_layers", "num_attention_heads": "num_heads", "num_key_value_heads": "num_kv_heads",
        "max_position_embeddings": "context_length",
    }  # fmt: skip
    same = {key: sizes[key] for key in ("vocab_size", "hidden_size", "intermediate_size", "rms_norm_eps")}
    return same | {theirs: sizes[ours] for theirs, ours in names.items()} | {"hidden_act": "silu", "rope_theta": 1e6}


def _write_byte_pairs(folder: Path) -> None:
    import tokenizers

    bpe = tokenizers.Tokenizer(tokenizers.models.BPE())
    bpe.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(["hello there, it speaks"] * 3, trainer)
    bpe.model.save(str(folder))
