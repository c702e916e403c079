"""The flow: equal to the reference on its golden tensors, and streaming equal to the whole for any schedule."""

from __future__ import annotations

import copy
import dataclasses
import json
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from parlando.core.config import from_mapping, to_mapping
from parlando.core.errors import AudioError, ConfigError
from parlando.models.cosyvoice.parts.flow import Flow, FlowConfig, FlowPrompt, FlowState
from parlando.models.cosyvoice.parts.flow_estimator import Conditions
from parlando.nn.checkpoint import SkipInitialisation, load_strictly, read_tensors
from parlando.nn.chunked import ConvHistory, KeyValueMemory, Span
from parlando.nn.conformer import ConformerMemory
from parlando.nn.flow_matching import positional_noise

GOLDEN = Path(__file__).resolve().parents[3] / "golden" / "cosyvoice"
TINY = {
    "vocab_size": 81,
    "encoder": {"input_dim": 32, "dim": 32, "num_heads": 2, "inner_dim": 64, "num_layers": 2},
    "estimator": {"dim": 32, "num_heads": 2, "head_dim": 16, "num_mid_stages": 2, "layers_per_stage": 1},
}
SCHEDULES = {
    "1": [1] * 90,
    "3": [3] * 30,
    "10": [10] * 9,
    "15": [15] * 6,
    "25": [25] * 3 + [15],
    "25, 50, 100": [25, 50, 15],
    "growing": [1, 2, 4, 8, 16, 32, 27],
    "all at once": [90],
    "empty pushes": [0, 40, 0, 0, 50, 0],
}


@cache
def golden() -> dict[str, torch.Tensor]:
    return read_tensors(GOLDEN / "flow_io.safetensors")


def tiny_flow(**changes) -> Flow:
    flow = Flow(dataclasses.replace(from_mapping(FlowConfig, TINY), **changes)).eval()
    load_strictly(flow, read_tensors(GOLDEN / "flow.safetensors"), "golden")
    return flow


@pytest.fixture(scope="module")
def flow() -> Flow:
    return tiny_flow()


@pytest.fixture(scope="module")
def narrow() -> Flow:
    """Chunks of 5 tokens that see two chunks to their left, 2 solver steps, and noise in blocks of 64 frames."""
    encoder = dataclasses.replace(from_mapping(FlowConfig, TINY).encoder, chunk_tokens=5, left_chunks=2)
    return tiny_flow(encoder=encoder, solver_steps=2, noise_block_frames=64)


def golden_request() -> tuple[FlowPrompt, list[int]]:
    io = golden()
    return FlowPrompt(io["prompt_token"][0], io["prompt_feat"][0], io["embedding"][0]), io["token"][0].tolist()


def random_request(flow: Flow, prompt_tokens: int, tokens: int, seed: int = 0) -> tuple[FlowPrompt, list[int]]:
    generator, config = torch.Generator().manual_seed(seed), flow.config
    ids = torch.randint(0, config.vocab_size, (prompt_tokens + tokens,), generator=generator)
    mel = torch.randn(2 * prompt_tokens, config.mel_bins, generator=generator)
    prompt = FlowPrompt(ids[:prompt_tokens], mel, torch.randn(config.speaker_dim, generator=generator))
    return prompt, ids[prompt_tokens:].tolist()


def pieces_of(
    flow: Flow, request: tuple[FlowPrompt, list[int]], sizes: list[int], steps: int | None = None
) -> list[torch.Tensor]:
    prompt, tokens = request
    state, pieces, start = flow.open(prompt, steps), [], 0
    for size in sizes:
        pieces.append(flow.push(state, tokens[start : start + size]))
        start += size
    return [*pieces, flow.push(state, tokens[start:], final=True)]


def stream(flow: Flow, request: tuple[FlowPrompt, list[int]], sizes: list[int]) -> torch.Tensor:
    return torch.cat(pieces_of(flow, request, sizes), dim=2)[0]


def furthest(a: torch.Tensor, b: torch.Tensor) -> float:
    assert a.shape == b.shape
    return (a - b).abs().max().item() if a.numel() else 0.0


def test_full_size_has_the_1121_published_keys_and_shapes():
    with SkipInitialisation(), torch.device("meta"):
        flow = Flow(FlowConfig())
    manifest = json.loads((GOLDEN / "manifest_flow_full.json").read_text(encoding="utf-8"))
    assert {key: list(tensor.shape) for key, tensor in flow.state_dict().items()} == manifest
    assert len(manifest) == 1121
    assert sum(parameter.numel() for parameter in flow.parameters()) == 112_549_360


def test_config_survives_a_round_trip_and_refuses_what_cannot_be():
    assert from_mapping(FlowConfig, to_mapping(FlowConfig())) == FlowConfig()
    with pytest.raises(ConfigError, match="Did you mean 'chunk_tokens'"):
        from_mapping(FlowConfig, {"encoder": {"chunk_token": 25}})
    with pytest.raises(ConfigError, match="solver_steps: at least 1"):
        FlowConfig(solver_steps=0)
    with pytest.raises(ConfigError, match=r"lookahead_tokens: 3 is not within 1\.\.2"):
        from_mapping(FlowConfig, {"encoder": {"chunk_tokens": 2}})


@pytest.mark.parametrize("kind", ["offline", "streaming"])
@torch.inference_mode()
def test_encoder_equals_the_reference_to_1e_5(flow, kind):
    io = golden()
    tokens = flow.input_embedding(torch.cat([io["prompt_token"], io["token"]], dim=1).long())
    span = Span(0, tokens.shape[1], flow.config.grid if kind == "streaming" else None)
    found = flow.encoder(tokens, tokens[:, :0], span, flow.encoder.new_state(lasting=False))
    assert furthest(found, io[f"encoder_{kind}"]) < 1e-5


@pytest.mark.parametrize("kind", ["offline", "streaming"])
@torch.inference_mode()
def test_estimator_equals_the_reference_to_1e_5(flow, kind):
    io, estimator = golden(), flow.decoder.estimator
    conditions = Conditions(io["est_mu"].mT, io["est_spk"], io["est_cond"].mT)
    span = Span(0, io["est_x"].shape[2] // 2, flow.config.grid if kind == "streaming" else None).scaled(2)
    seen = span.visibility(torch.device("cpu"))
    found = estimator(io["est_x"].mT, io["est_t"], conditions, seen, estimator.new_state(lasting=False))
    assert furthest(found.mT, io[f"est_v_{kind}"]) < 1e-5


@pytest.mark.parametrize(("attention", "kind"), [("full", "offline"), ("chunked", "streaming")])
def test_mel_equals_the_reference_to_1e_4(flow, attention, kind):
    (mel,) = flow.synthesise([golden_request()], attention)
    assert furthest(mel, golden()[f"mel_{kind}"][0]) < 1e-4


def test_first_chunk_equals_the_reference_to_1e_4(flow):
    prompt, tokens = golden_request()
    assert furthest(flow.push(flow.open(prompt), tokens[: 38 + 3]), golden()["mel_first_chunk"]) < 1e-4


def test_streaming_equals_the_reference_to_1e_4(flow):
    assert furthest(stream(flow, golden_request(), [1, 39, 25]), golden()["mel_streaming"][0]) < 1e-4


@pytest.fixture(scope="module")
def in_two_steps(flow) -> torch.Tensor:
    return flow.synthesise([golden_request()], steps=2)[0]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_streaming_equals_the_whole_for_schedule(flow, in_two_steps, schedule):
    pieces = pieces_of(flow, golden_request(), SCHEDULES[schedule], steps=2)
    assert furthest(torch.cat(pieces, dim=2)[0], in_two_steps) < 1e-5


@settings(max_examples=8, deadline=None)
@given(
    prompt_tokens=st.integers(0, 12),
    tokens=st.integers(0, 40),
    sizes=st.lists(st.integers(0, 13), max_size=12),
    seed=st.integers(0, 9),
)
def test_any_schedule_equals_the_whole(narrow, prompt_tokens, tokens, sizes, seed):
    request = random_request(narrow, prompt_tokens, tokens, seed)
    (whole,) = narrow.synthesise([request])
    assert whole.shape == (80, 2 * tokens)
    assert furthest(stream(narrow, request, sizes), whole) < 1e-5


def test_bounded_attention_is_another_computation(narrow, flow):
    unbounded = dataclasses.replace(narrow.config.encoder, left_chunks=None)
    request = random_request(flow, 10, 50)
    wide = tiny_flow(encoder=unbounded, solver_steps=2, noise_block_frames=64)
    assert furthest(narrow.synthesise([request])[0], wide.synthesise([request])[0]) > 1e-3


@pytest.mark.parametrize("attention", ["chunked", "full"])
def test_a_batch_of_different_lengths_equals_each_alone(narrow, attention):
    requests = [random_request(narrow, *sizes, seed=n) for n, sizes in enumerate([(0, 33), (20, 3), (7, 0), (11, 19)])]
    batch = narrow.synthesise(requests, attention)
    assert [mel.shape[1] for mel in batch] == [66, 6, 0, 38]
    for mel, request in zip(batch, requests, strict=True):
        assert furthest(mel, narrow.synthesise([request], attention)[0]) < 1e-5


def test_each_chunk_computes_its_own_frames_only(flow):
    heard = []
    hooks = [
        flow.encoder.after_norm.register_forward_hook(lambda _, args, __: heard.append(("encoder", *args[0].shape))),
        flow.decoder.estimator.final_block.register_forward_hook(
            lambda _, args, __: heard.append(("estimator", *args[0].shape))
        ),
    ]
    try:
        pieces_of(flow, random_request(flow, 0, 128), [1] * 128, steps=2)
    finally:
        for hook in hooks:
            hook.remove()
    chunk = [("encoder", 1, 50, 32)] + [("estimator", 2, 50, 32)] * 2
    assert heard == chunk * 5 + [("encoder", 1, 6, 32)] + [("estimator", 2, 6, 32)] * 2


def test_frames_come_as_soon_as_their_chunk_and_look_ahead_are_whole(flow):
    sizes = [piece.shape[2] for piece in pieces_of(flow, random_request(flow, 37, 60), [1] * 60, steps=1)]
    assert {number: size for number, size in enumerate(sizes, start=1) if size} == {16: 26, 41: 50, 61: 44}


def memories(state: object) -> list[object]:
    """Every history and memory in a state, by walking its dataclasses, lists and tuples."""
    if isinstance(state, ConvHistory | KeyValueMemory | ConformerMemory):
        return [state]
    if dataclasses.is_dataclass(state):
        return [found for part in dataclasses.fields(state) for found in memories(getattr(state, part.name))]
    return [found for part in state for found in memories(part)] if isinstance(state, list | tuple) else []


def forget(memory: object) -> None:
    """Replace what one memory holds by that of a stream that has heard nothing but zeros of the same size."""
    held = memory.pairs if isinstance(memory, ConformerMemory) else memory
    tensor = held._past if isinstance(held, ConvHistory) else held._pairs
    tensor.zero_()


@torch.inference_mode()
def test_everything_in_the_state_is_needed(narrow):
    prompt, tokens = random_request(narrow, 5, 15)
    state = narrow.open(prompt, steps=1)
    narrow.push(state, tokens[:8])

    def next_chunk(forgotten: int | None) -> torch.Tensor:
        copied = copy.deepcopy(state)
        if forgotten is not None:
            forget(memories(copied)[forgotten])
        return narrow.push(copied, tokens[8:13])

    # The encoder has 2 convolutions and 6 layers; a step has 4 stages of 2 convolutions and 1 layer, and 3 more.
    count = len(memories(state))
    assert count == 2 + 6 + 4 * 3 + 3
    expected = next_chunk(None)
    assert expected.shape[2] == 10
    assert [n for n in range(count) if furthest(next_chunk(n), expected) < 1e-4] == []


def test_a_bounded_state_does_not_grow(narrow):
    _, tokens = random_request(narrow, 0, 75)
    state, sizes = narrow.open(random_request(narrow, 0, 0)[0], steps=1), []
    for start in range(0, 75, 5):
        narrow.push(state, tokens[start : start + 5])
        pairs = [m.pairs if isinstance(m, ConformerMemory) else m for m in memories(state)]
        sizes.append(sum(m._pairs.numel() for m in pairs if isinstance(m, KeyValueMemory) and m._pairs is not None))
    assert sizes[-1] == sizes[8] > 0


def test_interleaved_streams_do_not_mix_and_leave_the_weights_alone(narrow):
    before = {key: tensor.clone() for key, tensor in narrow.state_dict().items()}
    attributes = {name: sorted(vars(module)) for name, module in narrow.named_modules()}
    requests = [random_request(narrow, 5 * n, 14 + n, seed=n) for n in range(3)]
    states, heard = [narrow.open(prompt) for prompt, _ in requests], [[], [], []]
    for start in range(0, 20, 4):
        for (_, tokens), state, pieces in zip(requests, states, heard, strict=True):
            pieces.append(narrow.push(state, tokens[start : start + 4], final=start == 16))
    for request, pieces in zip(requests, heard, strict=True):
        assert furthest(torch.cat(pieces, dim=2)[0], narrow.synthesise([request])[0]) < 1e-5
    assert all(torch.equal(tensor, before[key]) for key, tensor in narrow.state_dict().items())
    assert {name: sorted(vars(module)) for name, module in narrow.named_modules()} == attributes


def test_noise_goes_on_past_the_end_of_its_block(narrow):
    request = random_request(narrow, 0, 40)
    assert furthest(stream(narrow, request, [17, 17]), narrow.synthesise([request])[0]) < 1e-5
    assert not torch.equal(positional_noise(64, 32, 80, 64), positional_noise(0, 32, 80, 64))


def test_steps_and_guidance_are_settings(flow):
    request = random_request(flow, 10, 10)
    ten, two = flow.synthesise([request])[0], flow.synthesise([request], steps=2)[0]
    assert furthest(ten, flow.synthesise([request], steps=10)[0]) == 0
    assert furthest(ten, two) > 1e-3
    state = flow.open(request[0], steps=2)
    assert furthest(flow.push(state, request[1], final=True)[0], two) < 1e-5
    plain = tiny_flow(guidance=0.0)
    assert furthest(stream(plain, request, [5]), plain.synthesise([request])[0]) < 1e-5
    assert furthest(plain.synthesise([request])[0], ten) > 1e-3


def test_a_temperature_of_0_leaves_nothing_to_chance(monkeypatch):
    request = golden_request()
    cold, warm = tiny_flow(temperature=0.0), tiny_flow()
    before = cold.synthesise([request])[0], warm.synthesise([request])[0]
    monkeypatch.setattr("parlando.models.cosyvoice.parts.flow.positional_noise", lambda *a: -positional_noise(*a))
    after = cold.synthesise([request])[0], warm.synthesise([request])[0]
    assert torch.equal(before[0], after[0])
    assert not torch.equal(before[1], after[1])


@pytest.fixture(scope="module")
def told() -> Flow:
    """A flow whose encoder is told who speaks, and whose noise lies around its frames."""
    torch.manual_seed(0)
    encoder = dataclasses.replace(from_mapping(FlowConfig, TINY).encoder, chunk_tokens=5)
    config = dataclasses.replace(
        from_mapping(FlowConfig, TINY), encoder=encoder, solver_steps=2, prior="mean", noise_scale=0.5,
        speaker_in_encoder=True,
    )  # fmt: skip
    return Flow(config).eval()


@pytest.mark.parametrize("sizes", [[], [1] * 20, [7, 0, 13]])
def test_an_encoder_that_is_told_the_speaker_streams_as_exactly(told, sizes):
    request = random_request(told, 8, 23)
    (whole,) = told.synthesise([request])
    assert furthest(stream(told, request, sizes), whole) < 1e-5
    prompt, tokens = request
    batch = told.synthesise([random_request(told, 3, 11, seed=1), request])
    assert furthest(batch[1], whole) < 1e-5
    other = FlowPrompt(prompt.tokens, prompt.mel, prompt.speaker.flip(0))
    assert furthest(told.synthesise([(other, tokens)])[0], whole) > 1e-3


def test_the_way_begins_at_the_encoders_frames(told):
    """With a velocity of zero nothing is left of it but those and the scaled noise."""
    still = Flow(told.config).eval()
    still.load_state_dict(told.state_dict())
    torch.nn.init.zeros_(still.decoder.estimator.final_proj.weight)
    torch.nn.init.zeros_(still.decoder.estimator.final_proj.bias)
    prompt, tokens = random_request(still, 0, 10)
    span = Span(0, 10, still.config.grid)
    with torch.inference_mode():
        mean = still.encode(torch.tensor([tokens]), prompt.speaker[None], span)[0]
    noise = positional_noise(0, 20, 80, still.config.noise_block_frames)
    assert furthest(still.synthesise([(prompt, tokens)])[0].T, mean + 0.5 * noise) < 1e-5


def test_half_precision_streams_as_well(narrow):
    rounded = tiny_flow(encoder=narrow.config.encoder, solver_steps=2, noise_block_frames=64).bfloat16()
    request = random_request(narrow, 5, 20)
    mel = stream(rounded, request, [6, 6])
    assert mel.dtype == torch.float32
    assert furthest(mel, narrow.synthesise([request])[0]) < 0.2


def test_nothing_in_gives_nothing_and_a_closed_stream_holds_nothing(flow):
    prompt, _ = random_request(flow, 0, 0)
    assert flow.synthesise([]) == []
    assert flow.synthesise([(prompt, [])])[0].shape == (80, 0)
    state = flow.open(prompt)
    assert flow.push(state, [], final=True).shape == (1, 80, 0)
    state = flow.open(random_request(flow, 30, 0)[0])
    assert flow.push(state, [1, 2], final=True).shape == (1, 80, 4)
    assert flow.push(state, [3] * 40, final=True).shape == (1, 80, 0)
    assert isinstance(state, FlowState)
    assert (state.closed, state.pending, state.steps) == (True, [], [])


@pytest.mark.parametrize("token", [-1, 81])
def test_a_token_outside_the_vocabulary_is_an_internal_error(flow, token):
    prompt, _ = random_request(flow, 2, 0)
    state = flow.open(prompt)
    with pytest.raises(IndexError, match=r"not within 0\.\.80"):
        flow.push(state, [5, token])
    assert state.pending == prompt.tokens.tolist()
    with pytest.raises(IndexError, match=rf"speech token {token} "):
        flow.synthesise([(prompt, [token])])


def test_a_prompt_that_does_not_fit_is_refused(flow):
    prompt, _ = random_request(flow, 10, 0)
    with pytest.raises(AudioError, match="18 mel frames for 10 tokens"):
        flow.open(dataclasses.replace(prompt, mel=prompt.mel[:18]))
    with pytest.raises(AudioError, match="a speaker embedding of 5"):
        flow.open(dataclasses.replace(prompt, speaker=prompt.speaker[:5]))
    with pytest.raises(AudioError, match="79 mel bins"):
        flow.synthesise([(dataclasses.replace(prompt, mel=prompt.mel[:, 1:]), [])])


def test_trimming_cuts_tokens_and_mel_to_one_length(flow):
    prompt, _ = random_request(flow, 10, 0)
    long_mel = FlowPrompt(prompt.tokens[:8], prompt.mel, prompt.speaker).trimmed(2)
    long_tokens = FlowPrompt(prompt.tokens, prompt.mel[:13], prompt.speaker).trimmed(2)
    assert (len(long_mel.tokens), len(long_mel.mel)) == (8, 16)
    assert (len(long_tokens.tokens), len(long_tokens.mel)) == (6, 12)


FIRST = 1


@pytest.fixture(scope="module")
def early(narrow) -> Flow:
    """`narrow`, whose first chunk has one token after the prompt."""
    return tiny_flow(**{**vars(narrow.config), "first_tokens": FIRST})


@settings(max_examples=8, deadline=None)
@given(
    prompt_tokens=st.integers(0, 12),
    tokens=st.integers(0, 30),
    sizes=st.lists(st.integers(0, 13), max_size=12),
    seed=st.integers(0, 9),
)
def test_an_early_first_chunk_streams_as_exactly(early, prompt_tokens, tokens, sizes, seed):
    request = random_request(early, prompt_tokens, tokens, seed)
    assert furthest(stream(early, request, sizes), early.synthesise([request])[0]) < 1e-5


@pytest.mark.parametrize(
    ("which", "waits", "computed"), [("early", [4, 9, 14, 19], [4, 5, 5, 5]), ("narrow", [8, 13, 18], [5, 5, 5, 5])]
)
def test_an_early_first_chunk_waits_for_little_and_computes_little(request, which, waits, computed):
    """After a prompt of 10 tokens: when sound comes, and how many tokens each chunk has, the prompt's rest included."""
    flow = request.getfixturevalue(which)
    prompt, tokens = random_request(flow, 10, 19)
    heard, state = [], flow.open(prompt, steps=1)
    assert flow.tokens_until(state, 1) == waits[0]
    hook = flow.decoder.estimator.final_block.register_forward_hook(
        lambda _, args, __: heard.append(args[0].shape[1] // 2)
    )
    try:
        sizes = [flow.push(state, [token]).shape[2] for token in tokens]
    finally:
        hook.remove()
    assert [number for number, size in enumerate(sizes, start=1) if size] == waits
    assert heard == computed


def test_a_batch_with_early_first_chunks_equals_each_alone(early):
    requests = [random_request(early, *sizes, seed=n) for n, sizes in enumerate([(7, 6), (4, 9)])]
    for mel, request in zip(early.synthesise(requests), requests, strict=True):
        assert furthest(mel, early.synthesise([request])[0]) == 0


def test_a_first_chunk_that_is_longer_than_a_chunk_is_refused():
    with pytest.raises(ConfigError, match="first_tokens: 26 are more than a chunk has; use at most 25"):
        FlowConfig(first_tokens=26)


def test_bounded_context_bounds_the_work_of_a_chunk(narrow, monkeypatch):
    """Positions that enter a chunk's attention, its own and those before, rise to a bound and stay there."""
    entered, work = [], []
    append = KeyValueMemory.append

    def counted(self, keys, values):
        held = append(self, keys, values)
        entered.append(held[0].shape[2])
        return held

    monkeypatch.setattr(KeyValueMemory, "append", counted)
    prompt, tokens = random_request(narrow, 0, 63)
    state = narrow.open(prompt, steps=1)
    for start in range(0, 63, 5):
        entered.clear()
        narrow.push(state, tokens[start : start + 5])
        work += [sum(entered)] * bool(entered)
    layers = {"tokens": 2, "frames": 4 + 4}  # the encoder's, and the encoder's and the estimator's
    chunk = narrow.config.encoder.chunk_tokens * (layers["tokens"] + 2 * layers["frames"])
    assert work == [min(number, narrow.config.encoder.left_chunks + 1) * chunk for number in range(1, 13)]
