"""The language model of a published CosyVoice folder learns five sentences by heart, in full and by an adapter."""

import pytest
import torch
from by_heart import COSYVOICE_ADAPTER, cosyvoice_says, cosyvoice_task, published_cosyvoice_lm, write_sentences

from cosyvoice_published import write_published
from parlando.core.types import Voice
from parlando.models.cosyvoice.lm_weights import ADAPTER_NAMES, load_lm
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder
from parlando.nn.peft import AdapterFolder
from parlando.train.loop.step import Stepper

STEPS = 150


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_published(tmp_path_factory.mktemp("published") / "model")


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    """Five sentences of as many random codes as their text may have."""
    return write_sentences(tmp_path_factory.mktemp("codes"))


@pytest.mark.slow
@pytest.mark.parametrize("arriving", [0.0, 1.0], ids=["whole", "arriving"])
@pytest.mark.parametrize("adapter", [None, COSYVOICE_ADAPTER], ids=["full", "lora"])
def test_five_sentences_are_learned_by_heart(published, codes, adapter, arriving, tmp_path):
    task = cosyvoice_task(published, codes, arriving, adapter=adapter)
    stepper = Stepper(task)
    losses = [stepper.step(step, step / STEPS)["codes"] for step in range(STEPS)]
    stepper.close()
    assert losses[0] > 4.0
    assert losses[-1] < 0.05
    task.export(tmp_path)
    lm = load_lm(tmp_path, task.lm.config)
    if adapter is not None:
        base = published_cosyvoice_lm(published)
        adapted = AdapterFolder(tmp_path / "adapter").given_to(base, ADAPTER_NAMES)
        assert all(
            torch.allclose(lm.state_dict()[name], each, atol=1e-6) for name, each in adapted.state_dict().items()
        )
        lm = adapted
    if not arriving:
        builder = CosyVoicePromptBuilder(task.start.tokenizer, lm.config)
        for spoken in task.sampler.corpus.utterances:
            wanted = task.sampler.corpus.codes(spoken)[0].tolist()
            assert cosyvoice_says(lm, builder.build(spoken.text, Voice("somebody")), len(wanted)) == wanted
