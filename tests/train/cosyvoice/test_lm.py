"""Examples and training of the CosyVoice language model, on random codes of two digits."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from stepping import stepper
from tiny_corpus import SENTENCES

from parlando.core.config import from_mapping
from parlando.core.errors import ConfigError
from parlando.core.types import IGNORED_LABEL, Voice
from parlando.data.pitch import PitchRange
from parlando.data.shards import PHONES, UNKNOWN_PHONE, Entry
from parlando.data.tokens import TokenCorpus
from parlando.models.cosyvoice.config import LMConfig
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder, with_instruction
from parlando.models.cosyvoice.tokenizer import TAGS, PhonemeTokenizer, default_phoneme_config
from parlando.train.cosyvoice import lm_examples as examples
from parlando.train.cosyvoice.alignment import UNALIGNED, TextAligner, align
from parlando.train.cosyvoice.lm import CosyVoiceLMTask, CosyVoiceTrainConfig, collate, misread
from parlando.train.cosyvoice.lm_examples import PAUSE_TAG, CosyVoiceExampleSampler, CosyVoiceMix
from parlando.train.cosyvoice.lm_recipe import CosyVoiceLMRecipe, CosyVoiceLMSizes, small_lm_config
from parlando.train.cosyvoice.prosody import Direction, Prosody, measure_prosody
from parlando.train.cosyvoice.start import find_start
from parlando.train.loop.checkpoint import load_weights
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources, read_recipe
from parlando.train.registry import make_task

CODES = 16
TOKENIZER = PhonemeTokenizer(default_phoneme_config())
SIZES = CosyVoiceLMSizes(
    hidden_size=8, num_layers=1, num_heads=2, intermediate_size=16, context_length=512, group_text_tokens=4,
    group_speech_tokens=2,
)  # fmt: skip
CONFIG = small_lm_config(SIZES, TOKENIZER, CODES)
SLOW, FAST = (
    Direction(by="pace", least=a, most=b, wordings=(text,)) for a, b, text in ((0, 0.3, "Slow."), (0.7, 1, "Fast."))
)
PLAIN = CosyVoiceMix(
    clone_share=0.0, instruct_share=0.0, arriving_share=0.0, join_share=0.0, spelled_example_share=0.0, tag_share=0.0,
    pause_share=0.0, tokens_per_batch=160, candidates=4,
)  # fmt: skip


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def one_book(codes, tmp_path_factory):
    """The tiny corpus's first codebook."""
    folder = tmp_path_factory.mktemp("one_book")
    rows = np.fromfile(codes / "codes.i16", dtype=np.int16).reshape(-1, 3)
    rows[:, 0].tofile(folder / "codes.i16")
    for name in ("index.jsonl", "labels.u8"):
        (folder / name).write_bytes((codes / name).read_bytes())
    (folder / "codes.json").write_text(json.dumps({"num_codebooks": 1, "codebook_size": CODES}))
    return folder


def sampler(folder, **changes) -> CosyVoiceExampleSampler:
    return CosyVoiceExampleSampler(
        TokenCorpus(folder), CosyVoicePromptBuilder(TOKENIZER, CONFIG), replace(PLAIN, **changes)
    )


def task(folder, **changes) -> CosyVoiceLMTask:
    return CosyVoiceLMTask(
        sampler(folder, arriving_share=0.5), CosyVoiceTrainConfig(CONFIG, code_levels=4, **changes), find_start(None)
    )


def drawn(made, steps=12):
    return [example for step in range(steps) for example in made.batch(step)]


def shown(example) -> str:
    return TOKENIZER.decode([token for token in example.prompt.tokens if token < TOKENIZER.vocab_size])


def test_a_sentence_alone_is_its_text_and_its_speech(one_book):
    for example, phones in drawn(sampler(one_book)):
        prompt = example.prompt
        assert prompt.tokens[0] == CONFIG.sos_id
        assert example.labels[-1] == CONFIG.eos
        assert len(phones) == len(prompt.codes) == prompt.audio_mask.sum()
        assert prompt.sentence in SENTENCES


def test_a_clip_before_the_sentence_is_learned_too(one_book):
    made = drawn(sampler(one_book, clone_share=1.0))
    clones = [(e, p) for e, p in made if len(p) > max(s.frames for s in TokenCorpus(one_book).utterances)]
    assert clones
    for example, phones in clones:
        speech = np.flatnonzero(example.prompt.audio_mask)
        assert len(phones) == len(speech)
        assert np.array_equal(example.labels[speech - 1], example.prompt.codes[:, 0])
        assert example.labels[-1] == CONFIG.eos


def test_half_of_the_examples_arrive_in_groups(one_book):
    grouped = [bool((e.labels == CONFIG.fill).any()) for e, _ in drawn(sampler(one_book, arriving_share=0.5), 20)]
    assert 0.2 < np.mean(grouped) < 0.8
    assert not any((e.labels == CONFIG.fill).any() for e, _ in drawn(sampler(one_book)))


def test_a_pace_is_only_asked_of_sentences_that_have_it(one_book, monkeypatch):
    monkeypatch.setattr(examples, "_UNITS_FOR_PACE", 1)
    made = sampler(one_book, instruct_share=1.0, idle_share=0.0, directions=(SLOW, FAST))
    place = {spoken.text: [] for spoken in made._ordered["pace"]}
    for index, spoken in enumerate(made._ordered["pace"]):
        place[spoken.text].append(index / (len(made._ordered["pace"]) - 1))
    prompts = [e.prompt for e, _ in drawn(made)]
    assert {p.voice.instruction for p in prompts} == {
        "Slow.", "Fast.",
    }  # fmt: skip
    for prompt in prompts:
        slow = TOKENIZER.encode("Slow.") == list(prompt.tokens[1 : 1 + len(TOKENIZER.encode("Slow."))])
        assert any(where <= 0.3 if slow else where >= 0.7 - 1 / 4 for where in place[prompt.sentence])
        assert TOKENIZER.end_of_prompt in prompt.tokens


def test_manners_are_asked_of_their_speaker_and_idle_instructions_of_anybody(one_book, monkeypatch):
    monkeypatch.setattr(examples, "_UNITS_FOR_PACE", 1)
    shares = {"instruct_share": 1.0, "idle_share": 0.5, "manner_share": 0.5}
    made = sampler(one_book, directions=(SLOW,), manners={"rms": ("Like him.",), "nobody": ("No.",)}, **shares)
    plans = [
        made._instruction(made._plan(np.random.default_rng(seed)), np.random.default_rng(seed)) for seed in range(40)
    ]
    asked = [plan.target.speaker for plan, instruction in plans if instruction == "Like him."]
    assert set(asked) == {"rms"}
    idle = [instruction for _, instruction in plans if instruction not in ("Like him.", "Slow.", "No.")]
    assert idle
    assert all(any(sentence.startswith(words) for sentence in SENTENCES) for words in idle)


def test_a_pause_is_marked_where_the_speaker_pauses():
    generator = np.random.default_rng(0)
    sounds = np.array([0, 0, 5, 5, 0, 6, 6, 0])
    made = {examples._mark_pause("Well, then.", sounds, generator) for _ in range(20)}
    assert made == {f"Well {PAUSE_TAG} then.", f"Well, {PAUSE_TAG} then."}
    assert examples._mark_pause("Well, then.", np.array([5, 5, 6]), generator) == "Well, then."
    assert examples._mark_pause("Well then.", sounds, generator) == "Well then."


def test_other_tags_change_nothing_and_stand_anywhere():
    generator = np.random.default_rng(0)
    made = {examples._add_idle_tag("one two", generator) for _ in range(300)}
    assert "<strong>one</strong> two" in made
    assert "one two [laughter]" in made
    assert not any(PAUSE_TAG in text for text in made)
    plain = TOKENIZER.encode("one")
    for text in made:
        ids = [index for index in TOKENIZER.encode(text) if index > len(TAGS)]
        assert ids[: len(plain)] == plain


def test_spelled_words_stay_the_same_in_both_layouts(one_book):
    changes = {"spelled_example_share": 1.0, "spelled_word_share": 0.5, "arriving_share": 1.0}
    for example, _ in drawn(sampler(one_book, **changes)):
        text = shown(example)
        assert "{" in text
    assert any("".join(c for c in shown(e) if c.isalpha()) for e, _ in drawn(sampler(one_book, **changes)))


def test_targets_stand_where_they_are_predicted(one_book):
    made = drawn(sampler(one_book, arriving_share=0.5, clone_share=0.3), 3)
    batch = collate(made, TextAligner(TOKENIZER))
    for row, (example, phones) in enumerate(made):
        count = len(example.prompt)
        assert np.array_equal(batch.targets[row, :count], example.labels)
        assert (batch.targets[row, count:] == IGNORED_LABEL).all()
        spoken = batch.phones[row][batch.phones[row] != IGNORED_LABEL]
        assert spoken.tolist() == [phone for phone in phones if phone != UNKNOWN_PHONE]
        for position in np.flatnonzero(example.prompt.audio_mask):
            assert batch.targets[row, position - 1] in (batch.codes[row, position], IGNORED_LABEL)


def test_frames_are_aligned_to_the_phonemes_that_they_say():
    assert align(np.array([9, 1, 1, 2, 9, 1, 4]), np.array([1, 2, 1, 3, 4])).tolist() == [-1, 0, 0, 1, -1, 2, 4]
    assert align(np.array([5, 5]), np.array([5, 5, 5, 5])).tolist() == [0, 2]
    assert align(np.array([1, 2]), np.array([], dtype=int)).tolist() == [UNALIGNED] * 2


@pytest.mark.parametrize("arriving", [False, True])
def test_codes_are_aligned_to_positions_of_their_phonemes_and_not_of_an_instruction(arriving):
    phones = [PHONES.index(name) for name in ("hh", "hh", "ax", "l", "l", "ow", "pau", "g", "ow", "ow")]
    builder = CosyVoicePromptBuilder(TOKENIZER, CONFIG)
    voice = with_instruction(Voice("a"), "Go!")
    example = builder.build_training("Hello, go.", voice, np.zeros((1, 10), dtype=np.int64), arriving)
    found = TextAligner(TOKENIZER).positions(example.prompt, np.array(phones))
    assert (found == UNALIGNED).tolist() == [label == 0 for label in phones]
    said = TOKENIZER.decode([example.prompt.tokens[place] for place in found if place != UNALIGNED])
    assert said == "{hh}{hh}{ax0}{l}{l}{ow1}{g}{ow1}{ow1}"
    assert min(found[found != UNALIGNED]) > example.prompt.tokens.index(TOKENIZER.end_of_prompt)


def test_the_guide_is_the_attention_of_the_first_head(one_book, monkeypatch):
    made, seen = task(one_book), []
    batch = made.collate(made.sampler.batch(0))
    softmax = torch.Tensor.softmax
    monkeypatch.setattr(torch.Tensor, "softmax", lambda x, dim: seen.append(x.detach()) or softmax(x, dim))
    loss = made.losses(batch)["guide"].detach()
    first_head = seen[0][:, 0, 0].log_softmax(-1)
    known = batch.aligned != IGNORED_LABEL
    assert known.any()
    expected = -first_head[known].gather(1, batch.aligned[known][:, None]).mean()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_a_step_reports_losses_that_add_up(one_book):
    metrics = stepper(task(one_book, phone_weight=0.5, phone_final=0.1, guide_weight=0.4)).step(0, 0.5)
    parts = metrics["codes"] + 0.3 * metrics["phone"] + 0.2 * metrics["guide"]
    assert metrics["loss"] == pytest.approx(parts, rel=1e-5)
    assert metrics["codes"] == pytest.approx(np.log(CODES + 3), abs=0.3)
    assert metrics["phone"] == pytest.approx(np.log(len(PHONES)), abs=0.4)
    assert metrics["tokens"] > 25 * metrics["audio_seconds"] > 10


def test_one_batch_is_learnt_by_heart(one_book, monkeypatch):
    made = task(one_book, optim=OptimConfig(rate=2e-2, warmup=0.0))
    batch = made.sampler.batch(0)[:2]
    monkeypatch.setattr(made.sampler, "batch", lambda number: batch)
    losses = [stepper(made).step(step, step / 60)["codes"] for step in range(60)]
    assert losses[-1] < 0.6 * losses[0]


def test_of_the_codes_before_some_are_wrong_ones_of_the_batch():
    codes = torch.arange(4000).reshape(4, 1000) % 7
    is_speech = (torch.arange(1000) >= 500).expand(4, -1)
    read = misread(torch.where(is_speech, codes, 9), is_speech, 0.25)
    wrong = read != torch.where(is_speech, codes, 9)
    assert not wrong[:, :500].any(), "what is no speech stays as it is"
    assert set(read[:, 500:].unique().tolist()) <= set(range(7))
    shares = wrong[:, 500:].float().mean(1)
    assert shares.max() < 0.5
    assert shares.max() - shares.min() > 0.05, "a share of its own for every row"
    assert misread(codes, is_speech, 0.0) is codes


def test_only_training_misreads(one_book, monkeypatch):
    made = task(one_book, misread_share=0.5)
    asked = []
    monkeypatch.setattr("parlando.train.cosyvoice.lm.misread", lambda codes, *rest: asked.append(rest[1]) or codes)
    stepper(made).evaluate()
    assert asked == []
    stepper(made).step(0, 0.0)
    assert asked == [0.5]


def test_evaluation_repeats_and_tells_the_layouts_apart(one_book):
    made = task(one_book, dropout=0.5)
    names = {"codes", "accuracy", "phone", "phone_accuracy", "guide"}
    metrics = stepper(made).evaluate()
    assert set(metrics) == names | {f"arriving_{name}" for name in names}
    assert stepper(made).evaluate() == metrics
    assert metrics["codes"] != metrics["arriving_codes"]


@pytest.mark.parametrize("levels", [1, 2, 4])
def test_the_export_is_the_model_that_was_trained(one_book, tmp_path, levels):
    made = CosyVoiceLMTask(sampler(one_book), CosyVoiceTrainConfig(CONFIG, code_levels=levels), find_start(None))
    stepper(made).step(0, 0.1)
    made.export(tmp_path)
    lm = CosyVoiceLM(from_mapping(LMConfig, json.loads((tmp_path / "lm.json").read_text())))
    load_weights(lm, tmp_path / "lm.safetensors")
    batch = made.collate(made.sampler.batch(1))
    made.lm.eval()
    known = batch.targets != IGNORED_LABEL
    trained = made.losses(batch)["codes"].detach()
    logits = lm.speech_logits(lm(batch.tokens, batch.codes, batch.is_speech)[known])
    loss = torch.nn.functional.cross_entropy(logits, batch.targets[known])
    assert float(loss.detach()) == pytest.approx(float(trained), rel=1e-5)


def test_codes_that_share_a_digit_share_a_row(one_book):
    made = task(one_book)
    with torch.no_grad():
        for table in (made.lm.embed_speech.weight, made.lm.speech_head.weight):
            table.zero_()
        made.shared.table[1] += 100.0
    rows = made._tables()["embed_speech.weight"][:, 0] > 50
    assert rows.nonzero().flatten().tolist() == [1, 5, 9, 13]
    with pytest.raises(ConfigError, match="is not valid for 16 codes"):
        CosyVoiceLMTask(made.sampler, CosyVoiceTrainConfig(CONFIG, code_levels=3), find_start(None))


def test_the_recipe_of_the_default_is_whole(root):
    recipe = read_recipe(CosyVoiceLMRecipe, root / "recipes" / "cosyvoice-mini" / "lm.toml")
    assert recipe.budget.minutes
    assert 0 < recipe.mix.clone_share + recipe.mix.instruct_share < 1
    assert set(recipe.mix.manners) <= set(recipe.mix.speaker_weights)
    assert len({wording for each in recipe.mix.directions for wording in each.wordings}) > 20
    ratio = recipe.sizes.group_text_tokens * 1.3
    assert ratio >= recipe.sizes.group_speech_tokens, "text must not run out before the fastest speech of it"


def test_the_family_of_a_recipe_decides(root, one_book, tmp_path):
    (tmp_path / "r.toml").write_text(
        'family = "cosyvoice"\ncode_levels = 4\n[budget]\nsteps = 1\n[sizes]\nhidden_size = 8\nnum_layers = 1\n'
        "num_heads = 2\nintermediate_size = 8\n[mix]\ncandidates = 2\ntokens_per_batch = 80\n"
        '[parallel]\nstrategy = "hsdp"\nshard_size = 4\n'
    )
    made, budget, parallel = make_task("lm", tmp_path / "r.toml", Sources(codes=one_book))
    assert (type(made), budget.steps) == (CosyVoiceLMTask, 1)
    assert (parallel.strategy, parallel.shard_size, parallel.compile) == ("hsdp", 4, False)
    assert stepper(made).step(0, 0.0)["audio_seconds"] > 0
    with pytest.raises(ConfigError, match="--codec"):
        make_task("lm", root / "recipes" / "higgs-mini" / "lm.toml", Sources(codes=one_book))
    (tmp_path / "r.toml").write_text('family = "hogs"\n')
    with pytest.raises(ConfigError, match="'hogs' is not one of higgs, cosyvoice"):
        make_task("lm", tmp_path / "r.toml", Sources(codes=one_book))


def test_a_direction_needs_a_range_and_wordings():
    for wrong in ({"least": 0.5, "most": 0.5, "wordings": ("a",)}, {"least": 0, "most": 1, "wordings": ()}):
        with pytest.raises(ConfigError, match="a direction needs"):
            Direction(by="pace", **wrong)


def test_prosody_is_asked_of_sentences_at_their_own_speed(one_book):
    lively = Direction(by="liveliness", least=0.9, most=1.0, wordings=("Sing.",))
    ids = [spoken.id for spoken in TokenCorpus(one_book).utterances]
    prosodies = {name: Prosody(0.0, float(index)) for index, name in enumerate(ids)}
    mix = replace(PLAIN, directions=(lively,))
    made = CosyVoiceExampleSampler(TokenCorpus(one_book), CosyVoicePromptBuilder(TOKENIZER, CONFIG), mix, prosodies)
    ordered = made._ordered["liveliness"]
    assert [prosodies[spoken.id].liveliness for spoken in ordered] == sorted(
        prosodies[spoken.id].liveliness for spoken in ordered
    )
    assert {spoken.speed for spoken in ordered} == {1.0}
    with pytest.raises(ConfigError, match="no sentence has a liveliness to be asked for"):
        sampler(one_book, directions=(lively,))


class Pitch:
    """Two utterances of one speaker, one high and even, the other low and lively; and a third that is too short."""

    def __init__(self):
        entries = [Entry(name, "ada", "en", name, 0, 0) for name in ("high", "low", "short")]
        self.corpus = SimpleNamespace(entries=entries)

    def hertz(self, entry):
        return {
            "high": np.full((10, 4), 300.0), "low": np.tile([[100.0, 200.0]], (20, 2)), "short": np.full((2, 4), 100.0),
        }[entry.id]  # fmt: skip

    def training_ranges(self):
        return {"ada": PitchRange(np.log(200.0), 0.2)}


def test_prosody_is_measured_within_the_range_of_the_speaker():
    prosodies = measure_prosody(Pitch())
    assert set(prosodies) == {"high", "low"}
    assert prosodies["high"] == pytest.approx((np.log(1.5) / 0.2, 0.0), abs=1e-5)
    assert prosodies["low"] == pytest.approx((np.log(0.5) / 0.4, np.log(2) / 0.4), rel=1e-5)
