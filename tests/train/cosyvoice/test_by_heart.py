"""The language model of a published CosyVoice folder learns five sentences by heart, in full and by an adapter."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from cosyvoice_published import BACKBONE, write_published
from parlando.core.types import Frame, Voice
from parlando.data.tokens import Codes, EncodedUtterance, write_described
from parlando.models.cosyvoice.build import PUBLISHED_LM_FILES, read_published_configs
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.cosyvoice.lm_weights import ADAPTER_NAMES, load_lm, load_published_lm
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder
from parlando.nn.checkpoint import first_file
from parlando.nn.lora import LoRAConfig
from parlando.nn.peft import AdapterFolder
from parlando.train.cosyvoice.lm_examples import CosyVoiceMix
from parlando.train.cosyvoice.lm_recipe import CosyVoiceLMRecipe, make_lm_task
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.recipe import Sources
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Budget

TEXTS = ("The sun is warm.", "A red boat.", "My dog ran home.", "Rain fell.", "She reads.")
OPTIM = OptimConfig(rate=8e-3, weight_decay=0.0, warmup=0.1)
ADAPTER = LoRAConfig(8, 16.0, targets=("self_attn.*", "mlp.*", "speech_head"), whole=("embed_speech",))
ALONE = {"clone_share": 0.0, "instruct_share": 0.0, "join_share": 0.0, "tag_share": 0.0, "pause_share": 0.0}
STEPS = 150


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_published(tmp_path_factory.mktemp("published") / "model")


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    """Five sentences of as many random codes as their text may have."""
    folder, generator, start, spoken = tmp_path_factory.mktemp("codes"), np.random.default_rng(3), 0, []
    for number, text in enumerate(TEXTS):
        frames = 3 * len(text)
        spoken.append(EncodedUtterance(f"s{number}", "me", 1.0, "en", text, "train", start, frames))
        start += frames
    generator.integers(BACKBONE.codebook_size, size=start).astype(np.int16).tofile(folder / "codes.i16")
    np.full(start, 255, dtype=np.uint8).tofile(folder / "labels.u8")
    (folder / "index.jsonl").write_text("".join(json.dumps(asdict(each)) + "\n" for each in spoken))
    write_described(folder, Codes(1, BACKBONE.codebook_size))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("arriving", [0.0, 1.0], ids=["whole", "arriving"])
@pytest.mark.parametrize("adapter", [None, ADAPTER], ids=["full", "lora"])
def test_five_sentences_are_learned_by_heart(published, codes, adapter, arriving, tmp_path):
    mix = CosyVoiceMix(
        **ALONE, arriving_share=arriving, spelled_example_share=0.0, tokens_per_batch=9000, candidates=16
    )
    recipe = CosyVoiceLMRecipe("cosyvoice", Budget(steps=1), mix, optim=OPTIM, phone_weight=0.0, phone_final=0.0)
    recipe = CosyVoiceLMRecipe(**{**vars(recipe), "adapter": adapter})
    torch.manual_seed(0)
    task = make_lm_task(recipe, Sources(codes=codes, start_from=published))
    stepper = Stepper(task)
    losses = [stepper.step(step, step / STEPS)["codes"] for step in range(STEPS)]
    stepper.close()
    assert losses[0] > 4.0
    assert losses[-1] < 0.05
    task.export(tmp_path)
    lm = load_lm(tmp_path, task.lm.config)
    if adapter is not None:
        sizes, *_ = read_published_configs(published)
        base = load_published_lm(first_file(published, PUBLISHED_LM_FILES, ""), sizes).float()
        adapted = AdapterFolder(tmp_path / "adapter").given_to(base, ADAPTER_NAMES)
        assert all(
            torch.allclose(lm.state_dict()[name], each, atol=1e-6) for name, each in adapted.state_dict().items()
        )
        lm = adapted
    if not arriving:
        builder = CosyVoicePromptBuilder(task.start.tokenizer, lm.config)
        for spoken in task.sampler.corpus.utterances:
            wanted = task.sampler.corpus.codes(spoken)[0].tolist()
            assert said(lm, builder.build(spoken.text, Voice("somebody")), len(wanted)) == wanted


def said(lm, prompt, most):
    """Codes that a model says greedily, until it ends by itself."""
    model, found = CosyVoiceTokenLM(lm), []
    cache = model.new_cache(1, len(prompt) + most + 2)
    logits = model.prefill(prompt, cache, 0)
    while len(found) <= most:
        code = int(logits.ranking.logits[logits.row].argmax())
        if code >= lm.config.codebook_size:
            break
        found.append(code)
        logits = model.step([Frame(lm.config.speech_id, (code,))], cache)[0]
    return found
