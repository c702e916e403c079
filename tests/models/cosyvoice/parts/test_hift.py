"""The vocoder against golden tensors, pieces against the whole, and every spelling of its checkpoint."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from parlando.core.errors import CheckpointError, ConfigError
from parlando.models.cosyvoice.parts.hift import HiFT, HiFTConfig, HiFTState
from parlando.models.cosyvoice.parts.hift_source import HarmonicSource, PulseSource, SeededNoise, SourceConfig
from parlando.models.cosyvoice.parts.hift_weights import config_from_published, load_hift, load_hift_folder, save_hift
from parlando.nn.checkpoint import SkipInitialisation
from parlando.nn.streaming import Carry

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "cosyvoice"
FRAMES, PER_FRAME, WITHHELD = 40, 480, 9_480
GOLDEN_SEED = 105


def num_bytes(state: HiFTState) -> int:
    """Memory of the kept tensors."""
    return sum(value.nbytes for value in state.kept if isinstance(value, torch.Tensor))


@pytest.fixture(scope="module")
def config():
    return config_from_published(json.loads((GOLDEN / "hift.json").read_text()))


@pytest.fixture(scope="module")
def hift(config):
    return load_hift(GOLDEN / "hift.safetensors", config).requires_grad_(False)


@pytest.fixture(scope="module")
def io():
    return load_file(GOLDEN / "hift_io.safetensors")


@pytest.fixture(scope="module")
def golden_noise(io):
    """The reference draws a phase, which has no effect, and then noise in the memory order [wave, sample].

    `torch.randn` of the same shape draws other numbers than this; the recorded phase vouches for the seed.
    """
    with torch.random.fork_rng():
        torch.manual_seed(GOLDEN_SEED)
        assert torch.equal(torch.rand(1, 9), io["rand_phase"])
        draws = torch.randn_like(torch.empty(1, 9, FRAMES * PER_FRAME).transpose(1, 2))
    return lambda first, count: draws[:, first * PER_FRAME : (first + count) * PER_FRAME]


@pytest.fixture(scope="module")
def whole(hift, io):
    return hift(io["mel"], hift.open([7]).noise)


def stream(hift, mel, state, cuts):
    """The samples of every piece between cuts, and the last state."""
    pieces = []
    for start, end in pairwise(cuts):
        samples, state = hift.push(mel[..., start:end], state, final=len(pieces) == len(cuts) - 2)
        pieces.append(samples)
    return pieces, state


def difference(one, other):
    assert one.shape == other.shape
    return (one - other).abs().max().item()


def test_pitch_source_and_waveform_equal_golden(hift, io, golden_noise):
    pitch = hift.f0_predictor(io["mel"], Carry())
    assert difference(pitch, io["f0"]) < 1e-4
    assert difference(hift.m_source(pitch, golden_noise, Carry()), io["source"][:, 0]) < 1e-4
    assert difference(hift(io["mel"], golden_noise), io["waveform"]) < 1e-4


def test_the_filter_alone_equals_golden_to_rounding(hift, io):
    assert difference(hift.filter(io["mel"], io["source"][:, 0], Carry()), io["waveform"]) < 1e-6


@pytest.mark.parametrize("sizes", [[1] * 40, [15, 25], [25, 15], [20, 19, 1], [40, 0], [0, 39, 1]])
def test_pieces_equal_the_whole(hift, io, whole, sizes):
    cuts = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    pieces, _ = stream(hift, io["mel"], hift.open([7]), cuts)
    assert difference(torch.cat(pieces, dim=1), whole) < 1e-5


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, FRAMES), max_size=5))
def test_any_pieces_equal_the_whole(hift, io, whole, inner):
    pieces, _ = stream(hift, io["mel"], hift.open([7]), [0, *sorted(inner), FRAMES])
    assert difference(torch.cat(pieces, dim=1), whole) < 1e-5


@pytest.mark.parametrize("frames", [1, 2, 19, 20, 21])
def test_short_utterances_have_480_samples_per_frame_too(hift, io, frames):
    mel, state = io["mel"][..., :frames], hift.open([7])
    together = hift(mel, state.noise)
    pieces, _ = stream(hift, mel, state, range(frames + 1))
    assert together.shape == (1, frames * PER_FRAME)
    assert torch.cat(pieces, dim=1).shape == together.shape
    assert difference(torch.cat(pieces, dim=1), together) < 1e-5


def test_samples_come_9480_behind_and_the_state_does_not_grow(hift, io):
    mel = io["mel"].repeat(1, 1, 3)
    state, emitted, sizes = hift.open([7]), 0, set()
    for frames in range(10, 121, 10):
        samples, state = hift.push(mel[..., frames - 10 : frames], state, final=False)
        emitted += samples.shape[1]
        assert emitted == max(0, PER_FRAME * frames - WITHHELD)
        sizes |= {num_bytes(state)} if frames > 20 else set()
    assert len(sizes) == 1


def test_a_row_of_a_batch_is_the_stream_it_would_be_alone(hift, io, whole):
    mel = torch.cat([io["mel"].flip(2), io["mel"]])
    pieces, _ = stream(hift, mel, hift.open([3, 7]), [0, 25, 40])
    assert difference(torch.cat(pieces, dim=1)[1:], whole) < 1e-5


def test_interleaved_streams_equal_sequential_ones_and_a_state_can_be_used_twice(hift, io, whole):
    other = hift.open([8])
    first, state = hift.push(io["mel"][..., :30], hift.open([7]), final=False)
    hift.push(io["mel"], other, final=True)
    for _ in range(2):
        rest, ended = hift.push(io["mel"][..., 30:], state, final=True)
        assert difference(torch.cat([first, rest], dim=1), whole) < 1e-5
        assert ended.kept == ()


def test_a_stream_of_nothing_has_no_samples_and_an_ended_one_says_so(hift, io):
    samples, state = hift.push(io["mel"][..., :0], hift.open([7]), final=False)
    samples, state = hift.push(io["mel"][..., :0], state, final=True)
    assert samples.shape == (1, 0)
    with pytest.raises(ValueError, match="after the last piece"):
        hift.push(io["mel"], state, final=True)


def test_pushing_changes_nothing_of_the_module(config, io):
    hift = load_hift(GOLDEN / "hift.safetensors", config)
    before = {name: dict(module.__dict__) for name, module in hift.named_modules()}
    weights = {key: tensor.clone() for key, tensor in hift.state_dict().items()}
    with torch.no_grad():
        hift.push(io["mel"], hift.open([7]), final=False)
    assert {name: module.__dict__ for name, module in hift.named_modules()} == before
    assert all(torch.equal(tensor, weights[key]) for key, tensor in hift.state_dict().items())


def test_samples_stay_within_the_limit(config, io):
    loud = load_hift(GOLDEN / "hift.safetensors", config)
    torch.nn.init.constant_(loud.conv_post.bias, 20.0)
    with torch.no_grad():
        assert loud(io["mel"][..., :5], loud.open([7]).noise).abs().max() <= config.loudest_sample


def test_a_fresh_module_learns_through_every_weight(config, io):
    torch.manual_seed(0)
    fresh = HiFT(config)
    fresh(io["mel"][..., :4], fresh.open([7]).noise).square().sum().backward()
    unmoved = [name for name, weight in fresh.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert [name for name in unmoved if not name.startswith("f0_predictor.")] == []
    pitch = fresh.f0_predictor(io["mel"], Carry())
    pitch.sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in fresh.f0_predictor.parameters())


def test_the_published_size_has_exactly_the_published_tensors():
    with torch.device("meta"), SkipInitialisation():
        hift = HiFT(HiFTConfig())
    shapes = {key: list(tensor.shape) for key, tensor in hift.state_dict().items()}
    assert len(shapes) == 328
    assert shapes == json.loads((GOLDEN / "manifest_hift_full.json").read_text())
    assert hift.config.samples_per_frame == PER_FRAME


def old_names(tensors):
    spelled = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    for new, old in spelled.items():
        tensors = {key.replace(new, old): tensor for key, tensor in tensors.items()}
    return tensors


@pytest.mark.parametrize("spelling", ["prefixed", "weight_g", "folded", "pt"])
def test_every_spelling_of_the_checkpoint_sounds_the_same(hift, config, io, whole, tmp_path, spelling):
    tensors = load_file(GOLDEN / "hift.safetensors")
    path = tmp_path / "hift.safetensors"
    if spelling == "prefixed":
        save_file({f"generator.{key}": tensor for key, tensor in tensors.items()}, path)
    elif spelling == "weight_g":
        save_file(old_names(tensors), path)
    elif spelling == "folded":
        save_file(hift.state_dict(), path)
    else:
        path = tmp_path / "hift.pt"
        torch.save(tensors, path)
    loaded = load_hift(path, config)
    assert not any("parametrizations" in key for key in loaded.state_dict())
    with torch.no_grad():
        assert difference(loaded(io["mel"], hift.open([7]).noise), whole) < 1e-5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("conv_pre.bias"), "1 missing: conv_pre.bias"),
        (lambda t: t.update(stray=torch.zeros(1)), "1 unexpected: stray"),
        (lambda t: t["conv_post.bias"].fill_(math.nan), "not finite: conv_post.bias"),
        (lambda t: t.update({"conv_post.bias": torch.zeros(3)}), r"conv_post.bias is \[3\], not \[18\]"),
    ],
)
def test_a_checkpoint_that_does_not_fit_says_where(config, tmp_path, change, message):
    tensors = load_file(GOLDEN / "hift.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "hift.safetensors")
    with pytest.raises(CheckpointError, match=message):
        load_hift(tmp_path / "hift.safetensors", config)


def test_the_published_table_gives_the_published_size():
    table = {"in_channels": 80, "base_channels": 512, "nb_harmonics": 8, "istft_params": {"n_fft": 16, "hop_len": 4}}
    table["f0_predictor"] = {"num_class": 1, "in_channels": 80, "cond_channels": 512}
    assert config_from_published(table) == HiFTConfig()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"base_chanels": 5}, "unknown key 'base_chanels'"),
        ({"f0_predictor": {"num_class": 2}}, r"num_class: only 1"),
        ({"upsample_rates": [8, 5]}, "2 upsample_rates need"),
        ({"resblock_kernel_sizes": [3]}, "1 kernels need"),
        ({"upsample_kernel_sizes": [16, 11, 6]}, "by an even number"),
        ({"istft_params": {"n_fft": 8, "hop_len": 4}}, "exceed two hops"),
    ],
)
def test_a_wrong_table_is_a_config_error(table, message):
    with pytest.raises(ConfigError, match=message):
        config_from_published(table)


def test_noise_depends_on_seed_and_position_only():
    noise = SeededNoise((5, 6), 48, 3)
    assert torch.equal(noise(0, 7)[:, 4 * 48 :], noise(4, 3))
    assert torch.equal(noise(2, 1)[1:], SeededNoise((6,), 48, 3)(2, 1))
    assert not torch.equal(noise(0, 1)[0], noise(0, 1)[1])
    assert noise(3, 0).shape == (2, 0, 3)
    draws = SeededNoise((1,), 480, 9)(0, 100)
    assert abs(draws.mean()) < 5e-3
    assert abs(draws.std() - 1) < 5e-3


def silent_noise(first, count):
    return torch.zeros(1, count * PER_FRAME, 1)


def sine_source():
    source = HarmonicSource(SourceConfig(num_harmonics=0), PER_FRAME).requires_grad_(False)
    torch.nn.init.ones_(source.l_linear.weight)
    torch.nn.init.zeros_(source.l_linear.bias)
    return source


def test_the_phase_is_right_after_2_minutes_in_pieces():
    hertz, frames = 173.3, 6000
    kept, samples = (), []
    for first in range(0, frames, 50):
        carry = Carry(kept, final=first + 50 == frames)
        samples.append(sine_source()(torch.full((1, 50), hertz, dtype=torch.float64), silent_noise, carry))
        kept = carry.kept
    wave = torch.cat(samples, dim=1)[0, 240:-240].double()
    since_middle = torch.arange(wave.shape[0], dtype=torch.float64) + 0.5
    expected = torch.tanh(0.1 * torch.sin(2 * math.pi * hertz * (PER_FRAME + since_middle) / 24_000))
    assert (wave - expected).abs().max() < 1e-6


def test_there_is_no_step_where_the_pitch_changes_and_no_sine_without_pitch():
    pitch = torch.tensor([[100.0, 180.0, 90.0, 5.0, 0.0, 120.0]])
    wave = sine_source()(pitch, silent_noise, Carry())[0]
    assert wave[: 3 * PER_FRAME].diff().abs().max() < 0.1 * 2 * math.pi * 180 / 24_000 + 1e-6
    assert not wave[3 * PER_FRAME : 5 * PER_FRAME].any()
    assert wave[5 * PER_FRAME :].any()


def test_unvoiced_noise_is_louder_than_voiced():
    def ones(first, count):
        return torch.ones(1, count * PER_FRAME, 1)

    wave = sine_source()(torch.tensor([[0.0, 0.0]]), ones, Carry())
    assert torch.allclose(wave, torch.tensor(0.1 / 3).tanh().expand_as(wave))
    assert num_bytes(HiFTState(ones)) == 0


@pytest.fixture(scope="module")
def shaping():
    """A small vocoder that shapes its source, as the small default has it."""
    sizes = {"channels": 32, "pitch_channels": 16, "upsample_rates": (4,), "upsample_kernels": (8,)}
    spectrum = {"fft_samples": 480, "hop_samples": 120, "source": SourceConfig(num_harmonics=0)}
    blocks = {"kernels": (3, 7), "dilations": ((1, 3), (1, 3)), "source_kernels": (), "source_dilations": ()}
    torch.manual_seed(0)
    hift = HiFT(HiFTConfig(**sizes, **spectrum, **blocks, shapes_source=True)).prepare()
    torch.nn.init.constant_(hift.f0_predictor.classifier.bias, 120.0)
    return hift.requires_grad_(False)


@pytest.mark.parametrize("sizes", [[1] * 40, [15, 25], [39, 1], [0, 40]])
def test_pieces_of_a_shaped_source_equal_the_whole(shaping, io, sizes):
    together = shaping(io["mel"], shaping.open([7]).noise)
    cuts = [sum(sizes[:n]) for n in range(len(sizes) + 1)]
    pieces, _ = stream(shaping, io["mel"], shaping.open([7]), cuts)
    assert together.shape == (1, FRAMES * PER_FRAME)
    assert together.std() > 1e-3
    assert difference(torch.cat(pieces, dim=1), together) < 1e-5


def test_a_vocoder_that_shapes_its_source_learns_through_every_weight(shaping, io):
    fresh = HiFT(shaping.config)
    source = fresh.m_source(torch.tensor([[120.0, 120.0, 0.0, 0.0]]), fresh.open([7]).noise, Carry())
    fresh.filter(io["mel"][..., :4], source, Carry()).square().sum().backward()
    unmoved = [name for name, weight in fresh.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert [name for name in unmoved if not name.startswith("f0_predictor.")] == []


def test_a_vocoder_that_shapes_its_source_is_saved_and_loaded(shaping, io, tmp_path):
    save_hift(HiFT(shaping.config), tmp_path)
    loaded = load_hift_folder(tmp_path)
    assert loaded.config == shaping.config
    assert set(loaded.state_dict()) == set(shaping.state_dict())


def test_pulses_have_all_harmonics_and_noise_none():
    hertz, frames = 200.0, 100
    source = PulseSource(SourceConfig(num_harmonics=0), PER_FRAME)
    pulses, noise = source(torch.full((1, frames), hertz), SeededNoise((3,), PER_FRAME, 1), Carry())[0].double()
    assert pulses.square().mean() == pytest.approx(1.0, abs=0.02)
    assert noise.square().mean() == pytest.approx(1.0, abs=0.02)
    middle = pulses[PER_FRAME : PER_FRAME + 24_000]
    amplitude = torch.fft.rfft(middle).abs()
    harmonics = torch.arange(1, 60) * int(hertz)
    assert amplitude[harmonics].std() < 1e-3 * amplitude[harmonics].mean()
    between = torch.ones_like(amplitude, dtype=torch.bool)
    between[:: int(hertz)] = False
    assert amplitude[between].max() < 1e-3 * amplitude[harmonics].mean()


def test_without_pitch_there_are_no_pulses():
    source = PulseSource(SourceConfig(num_harmonics=0), PER_FRAME)
    pulses, noise = source(torch.tensor([[0.0, 5.0, 0.0]]), SeededNoise((3,), PER_FRAME, 1), Carry())[0]
    assert not pulses.any()
    assert noise.std() > 0.9
