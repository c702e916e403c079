"""Preference tuning: the loss by hand, what a model makes of its takes, that it learns them, resumes, and refuses."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from pairs import cosyvoice_frames, frames_fed, higgs_frames, random_pairs, write
from safetensors.torch import load_file
from torch import distributed
from torch.nn import functional

import parlando
from parlando.core.errors import ConfigError, FileMissingError
from parlando.core.types import IGNORED_LABEL
from parlando.data.preferences import PairCorpus
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.cosyvoice.lm_weights import load_lm as load_cosyvoice_lm
from parlando.models.higgs.lm_inference import HiggsTokenLM
from parlando.models.higgs.lm_weights import load_lm as load_higgs_lm
from parlando.nn.lora import LoRAConfig
from parlando.train.cosyvoice.dpo import CosyVoiceDPORecipe
from parlando.train.cosyvoice.dpo import make_dpo_task as make_cosyvoice
from parlando.train.higgs.dpo import HiggsDPORecipe
from parlando.train.higgs.dpo import make_dpo_task as make_higgs
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Budget, Trainer
from parlando.train.shared.preference import DPOConfig, PairMix, dpo_losses

BUDGET = Budget(steps=1)
MIX = PairMix(tokens_per_batch=900, candidates=8, held_out_share=0.25)
OPTIM = OptimConfig(rate=1e-2, weight_decay=0.0, warmup=0.0, final=1.0)
ADAPTER = LoRAConfig(8, 32.0, targets=("*_proj",))
STEPS = 40
EXACT = ParallelConfig(precision="float32")


class Family:
    def __init__(self, name, folder, maker, recipe, frames_of, load_lm, token_lm):
        self.name, self.folder, self.maker, self.recipe, self.frames_of = name, folder, maker, recipe, frames_of
        self.load_lm, self.token_lm = load_lm, token_lm

    def make(self, pairs, **changes):
        torch.manual_seed(0)
        recipe = self.recipe(budget=BUDGET, **{"mix": MIX, "optim": OPTIM, "family": self.name, **changes})
        return self.maker(recipe, Sources(pairs=pairs, start_from=self.folder))

    def lm(self):
        return self.load_lm(self.folder, parlando.load(self.folder, "cpu").model.config.lm).float()


@pytest.fixture(params=["higgs", "cosyvoice"])
def family(request):
    if request.param == "higgs":
        folder = request.getfixturevalue("tiny_folder")
        return Family("higgs", folder, make_higgs, HiggsDPORecipe, higgs_frames, load_higgs_lm, HiggsTokenLM)
    folder = request.getfixturevalue("tiny_cosyvoice_folder")
    return Family(
        "cosyvoice", folder, make_cosyvoice, CosyVoiceDPORecipe, cosyvoice_frames, load_cosyvoice_lm, CosyVoiceTokenLM
    )


@pytest.fixture
def pairs(family, tmp_path):
    found = random_pairs(family.folder, family.frames_of)
    return write(tmp_path / "pairs", found, parlando.load(family.folder, "cpu").model.codebook_sizes)


def weights(task):
    return {name: tensor.detach().clone() for name, tensor in task.trained[0].state_dict().items()}


def test_the_loss_is_the_one_computed_by_hand():
    policy, reference = torch.tensor([[-10.0, -12.0], [-7.0, -3.0]]), torch.tensor([[-11.0, -12.5], [-6.0, -4.0]])
    frames = torch.tensor([[5, 4], [2, 10]])
    found = dpo_losses(policy, reference, frames, DPOConfig(beta=0.2, nll_weight=0.5))
    margins = [0.2 * (1.0 - 0.5), 0.2 * (-1.0 - 1.0)]
    preference = sum(math.log(1 + math.exp(-margin)) for margin in margins) / 2
    nll = (10 / 5 + 7 / 2) / 2
    expected = {
        "loss": preference + 0.5 * nll, "preference": preference, "margin": sum(margins) / 2, "accuracy": 0.5,
        "chosen": 0.0, "rejected": 0.2 * (0.5 + 1.0) / 2, "nll": nll,
    }  # fmt: skip
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected, abs=1e-6)
    by_length = dpo_losses(policy, reference, frames, DPOConfig(beta=0.2, length_normalised=True))
    margins = [0.2 * (1.0 / 5 - 0.5 / 4), 0.2 * (-1.0 / 2 - 1.0 / 10)]
    assert float(by_length["margin"]) == pytest.approx(sum(margins) / 2, abs=1e-6)


def test_its_gradient_raises_the_chosen_take_and_lowers_the_rejected_one():
    policy = torch.zeros(3, 2, requires_grad=True)
    dpo_losses(policy, torch.zeros(3, 2), torch.ones(3, 2), DPOConfig(beta=0.4))["loss"].backward()
    # d/dx of -log sigmoid at 0 is -1/2, times beta, over three pairs.
    torch.testing.assert_close(policy.grad, torch.tensor([[-0.2 / 3, 0.2 / 3]]).expand(3, 2))


def test_log_probabilities_are_those_by_which_the_model_speaks(family, pairs):
    """Prompt and take, position by position through the model that the engine runs."""
    task, lm = family.make(pairs), family.lm().eval()
    examples = task._task.sampler._shown(PairCorpus(pairs).pairs)
    batch = task._task.collate(examples)
    found = task.reference(batch)
    model, expected = family.token_lm(lm), []
    for pair in PairCorpus(pairs).pairs:
        for take in (pair.chosen, pair.rejected):
            cache = model.new_cache(1, len(pair.prompt) + len(take.frames) + 1)
            logits, total, ended = model.prefill(pair.prompt, cache, 0), 0.0, set()
            for frame in frames_fed(take):
                likely = functional.log_softmax(logits.ranking.logits[logits.row].view(len(frame.codes), -1), -1)
                for book, code in enumerate(frame.codes):
                    is_begin = family.name == "higgs" and code == lm.config.stream_bos
                    if book not in ended and not is_begin:
                        total += float(likely[book, code])
                    if family.name == "higgs" and code == lm.config.stream_eos:
                        ended.add(book)
                logits = model.step([frame], cache)[0]
            if family.name == "cosyvoice" and take.ended:
                total += float(functional.log_softmax(logits.ranking.logits[logits.row].flatten(), -1)[lm.config.eos])
            expected.append(total)
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-3)


def test_a_take_that_did_not_end_is_not_held_to_an_end(family, pairs):
    corpus = PairCorpus(pairs)
    examples = [example for example, _ in family.make(pairs)._task.sampler._shown(corpus.pairs)]
    size = parlando.load(family.folder, "cpu").model.codebook_sizes[0]
    never_ended = examples[1::6]
    assert len(never_ended) == 3
    assert all(example.labels.max() < size for example in never_ended)
    assert all((example.labels == size + (family.name == "higgs")).any() for example in examples[::2])
    prompts = [len(pair.prompt) for pair in corpus.pairs for _ in range(2)]
    before = [example.labels[: length - 1] for example, length in zip(examples, prompts, strict=True)]
    assert all((labels == IGNORED_LABEL).all() for labels in before)


@pytest.mark.parametrize("adapter", [None, ADAPTER], ids=["full", "lora"])
def test_a_tiny_model_learns_what_is_preferred_and_its_reference_stays(family, pairs, adapter):
    task = family.make(pairs, adapter=adapter, dpo=DPOConfig(beta=0.5), mix=replace(MIX, held_out_share=0.0))
    batch = task._task.collate(task._task.sampler._shown(PairCorpus(pairs).pairs))
    before, frozen = task.reference(batch), {n: t.clone() for n, t in family.lm().state_dict().items()}
    stepper = Stepper(task, config=EXACT)
    first = stepper.step(0, 0.0)
    for step in range(1, STEPS):
        last = stepper.step(step, step / STEPS)
    stepper.close()
    assert first["preference"] == pytest.approx(math.log(2), abs=1e-5)
    assert (first["margin"], last["accuracy"]) == (pytest.approx(0, abs=1e-4), 1.0)
    assert last["preference"] < 0.1
    assert last["chosen"] > last["rejected"]
    assert torch.equal(task.reference(batch), before)
    learned = {name: tensor for name, tensor in weights(task).items() if "lora_" not in name}
    moved = any(not torch.equal(tensor, frozen[name]) for name, tensor in learned.items())
    assert moved == (adapter is None)
    assert len(task.trained) == (2 if adapter is None else 1)


def test_modules_that_learn_beside_an_adapter_are_kept_as_a_copy(tiny_folder, tmp_path):
    sizes = (256,) * 3
    pairs = write(tmp_path / "pairs", random_pairs(tiny_folder, higgs_frames), sizes)
    higgs = Family("higgs", tiny_folder, make_higgs, HiggsDPORecipe, higgs_frames, load_higgs_lm, HiggsTokenLM)
    task = higgs.make(pairs, adapter=replace(ADAPTER, whole=("embed_audio_tokens",)))
    batch = task.batch(0)
    before = task.reference(batch)
    stepper = Stepper(task, config=EXACT)
    stepper.step(0, 0.0)
    assert torch.equal(task.reference(batch), before)
    assert not any(name.startswith("1.") for name in stepper.state()["modules"]["trained"])
    stepper.close()


@pytest.mark.parametrize("adapter", [None, ADAPTER], ids=["full", "lora"])
def test_a_resumed_run_is_bit_for_bit_the_one_that_was_not_stopped(family, pairs, adapter, tmp_path):
    def run(folder, *budgets):
        for steps in budgets:
            budget = Budget(steps=steps, log_every_steps=1, evaluate_every_minutes=100)
            # The rate goes by the share of the budget: of both runs, the same at every step.
            task = family.make(pairs, adapter=adapter, dpo=DPOConfig(beta=0.5, nll_weight=0.1))
            assert Trainer(task, folder, budget, config=EXACT).run()
        lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        return load_file(folder / "lm.safetensors"), [line["loss"] for line in lines if "loss" in line]

    whole, moved = run(tmp_path / "whole", 4), run(tmp_path / "moved", 2, 4)
    assert moved[1] == whole[1]
    assert moved[0].keys() == whole[0].keys()
    assert all(torch.equal(moved[0][name], tensor) for name, tensor in whole[0].items())


@pytest.mark.parametrize("adapter", [None, ADAPTER], ids=["full", "lora"])
def test_a_model_in_pieces_takes_the_same_step(family, pairs, adapter, tmp_path):
    """In a group of one process, whose weights lie as those of many do; the reference's too."""
    steps, told = [], []
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        for config in (EXACT, replace(EXACT, strategy="fsdp", checkpoint_activations=True)):
            task = family.make(pairs, adapter=adapter)
            stepper = Stepper(task, config=config)
            steps.append([stepper.step(number, 0.5) for number in range(2)])
            told.append(stepper.evaluate())
            stepper.close()
    finally:
        distributed.destroy_process_group()
    for one, other in zip(*steps, strict=True):
        assert other == pytest.approx(one, rel=1e-4, abs=1e-5)
    assert told[1] == pytest.approx(told[0], rel=1e-4, abs=1e-4)
    assert steps[0][1]["margin"] != 0


def test_a_run_says_how_held_out_pairs_are_ranked_and_can_be_spoken_with(family, pairs, tmp_path):
    run, steps = tmp_path / "run", 3
    trainer = Trainer(family.make(pairs, adapter=ADAPTER), run, Budget(steps=steps, log_every_steps=1), config=EXACT)
    assert trainer.run()
    *lines, last = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert {"loss", "preference", "margin", "accuracy", "chosen", "rejected", "nll"} <= lines[0].keys()
    assert set(last["held_out"]) == {"loss", "preference", "margin", "accuracy", "chosen", "rejected", "nll"}
    assert 0 <= last["held_out"]["accuracy"] <= 1
    base, tuned = (parlando.load(family.folder, "cpu", adapter=each) for each in (None, run / "adapter"))
    said = [each.say("She reads.", seed=1, max_frames=12).samples for each in (base, tuned)]
    assert all(len(samples) for samples in said)
    assert not np.array_equal(*said)


def test_batches_of_unequal_pairs_weigh_by_their_number(family, pairs):
    task = family.make(pairs)
    batch = task.batch(0)
    extent = task.extent(batch)
    assert extent.units == len(batch.tokens) // 2 > 0
    assert extent.positions >= extent.units


def test_packed_pairs_are_learned_like_padded_ones(family, pairs):
    padded, packed = (family.make(pairs, mix=replace(MIX, pack=pack)) for pack in (False, True))
    one, other = (task.losses(task.batch(0))["nll"].detach() for task in (padded, packed))
    torch.testing.assert_close(other, one, rtol=1e-5, atol=0.0)


def test_codebooks_count_as_often_as_the_recipe_says(tiny_folder, tmp_path):
    higgs = Family("higgs", tiny_folder, make_higgs, HiggsDPORecipe, higgs_frames, load_higgs_lm, HiggsTokenLM)
    pairs = write(tmp_path / "pairs", random_pairs(tiny_folder, higgs_frames), (256,) * 3)
    alone = [higgs.make(pairs, codebook_weights=each) for each in ((1.0, 0.0, 0.0), (0.0, 1.0, 1.0), ())]
    first, rest, all_of_them = (task.reference(task.batch(0)) for task in alone)
    torch.testing.assert_close(first + rest, all_of_them)
    with pytest.raises(ConfigError, match="codebook_weights: 2 for 3 codebooks"):
        higgs.make(pairs, codebook_weights=(1.0, 2.0))


def test_what_cannot_be_tuned_is_told(tiny_folder, tiny_cosyvoice_folder, tmp_path):
    higgs = Family("higgs", tiny_folder, make_higgs, HiggsDPORecipe, higgs_frames, load_higgs_lm, HiggsTokenLM)
    found = random_pairs(tiny_folder, higgs_frames)
    with pytest.raises(FileMissingError, match="parlando data preferences"):
        higgs.make(tmp_path)
    with pytest.raises(ConfigError, match=r"holds no pair: no sentence was said clearly better"):
        higgs.make(write(tmp_path / "none", [], (256,) * 3))
    others = write(tmp_path / "others", random_pairs(tiny_cosyvoice_folder, cosyvoice_frames), (81,))
    with pytest.raises(ConfigError, match="has 1 codebooks of 81 codes, the model speaks 3 codebooks of 256 codes"):
        higgs.make(others)
    pairs = write(tmp_path / "pairs", found, (256,) * 3)
    with pytest.raises(ConfigError, match="begins with a model; name its folder or hub id with --from"):
        make_higgs(HiggsDPORecipe(budget=BUDGET), Sources(pairs=pairs))
    far = replace(found[0].chosen, frames=found[0].chosen.frames + 300)
    unknown = write(tmp_path / "unknown", [replace(found[0], chosen=far)], (256,) * 3)
    with pytest.raises(ConfigError, match="tokens or codes that the model does not know, in 'One.'"):
        higgs.make(unknown)
    long = replace(found[0].chosen, frames=np.tile(found[0].chosen.frames, (60, 1)))
    with pytest.raises(ConfigError, match="no pair of .* fits the model's 600 positions"):
        higgs.make(write(tmp_path / "long", [replace(found[0], chosen=long)], (256,) * 3))
    with pytest.raises(ConfigError, match=r"adapter\.targets: nothing is called 'qkv'"):
        higgs.make(pairs, adapter=LoRAConfig(targets=("qkv",)))


def test_a_damaged_line_is_named(tiny_folder, tmp_path):
    pairs = write(tmp_path / "pairs", random_pairs(tiny_folder, higgs_frames), (256,) * 3)
    lines = (pairs / "pairs.jsonl").read_text().splitlines()
    narrow = json.loads(lines[1])
    narrow["chosen"]["frames"] = [row[:-1] for row in narrow["chosen"]["frames"]]
    uneven = json.loads(lines[1])
    uneven["rejected"]["frames"][0] = [1]
    for broken in ("{", '{"sentence": "One."}', json.dumps(uneven), json.dumps(narrow)):
        (pairs / "pairs.jsonl").write_text(f"{lines[0]}\n{broken}\n")
        with pytest.raises(ConfigError, match=r"pairs\.jsonl:2: not "):
            PairCorpus(pairs)
