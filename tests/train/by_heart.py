"""Five samples for a tiny published layout of each family, learned by heart by one process or by two."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import distributed

from cosyvoice_published import BACKBONE
from cosyvoice_published import write_published as write_cosyvoice
from higgs_published import CODEBOOKS, CODEC, CODES, write_published_lm
from parlando.core.types import Frame, SamplingOptions, Voice
from parlando.data.tokens import Codes, EncodedUtterance, TokenCorpus, write_described
from parlando.models.cosyvoice.build import PUBLISHED_LM_FILES, read_published_configs
from parlando.models.cosyvoice.lm_inference import CosyVoiceTokenLM
from parlando.models.cosyvoice.lm_weights import load_published_lm as load_cosyvoice
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder
from parlando.models.higgs.lm_inference import HiggsTokenLM
from parlando.models.higgs.lm_weights import load_published_lm as load_higgs
from parlando.models.higgs.parts.chatml import SPEAK
from parlando.models.higgs.parts.delay import Undelay
from parlando.models.higgs.prompt import ChatPrompt
from parlando.models.higgs.sampler import HiggsSampler
from parlando.nn.checkpoint import first_file
from parlando.nn.lora import LoRAConfig
from parlando.train.cosyvoice.lm_examples import CosyVoiceMix
from parlando.train.cosyvoice.lm_recipe import CosyVoiceLMRecipe, make_lm_task
from parlando.train.higgs.chat import ChatMix, ChatRecipe, make_chat_task
from parlando.train.higgs.chat_samples import ChatCorpus
from parlando.train.higgs.lm_recipe import prompt_config
from parlando.train.higgs.start import find_start
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.parallel import Process
from parlando.train.loop.recipe import Sources
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.step import Stepper
from parlando.train.loop.trainer import Budget, Trainer

STEPS = 160
EXACT = ParallelConfig(precision="float32")
SHARDED = replace(EXACT, strategy="fsdp")
HIGGS_TEXTS = ("One.", "Two of us.", "[SPEAKER0] Hi. [SPEAKER1] Ho.", "Rain fell.", "A dog.")
HIGGS_OPTIM = OptimConfig(rate=6e-3, weight_decay=0.0, warmup=0.1)
HIGGS_MIX = ChatMix(tokens_per_batch=4000, candidates=5, held_out_share=0.0)
HIGGS_RECIPE = ChatRecipe(Budget(steps=1), HIGGS_MIX, HIGGS_OPTIM)
HIGGS_ADAPTER = LoRAConfig(
    8, 16.0, targets=("self_attn.*", "mlp.*", "audio_mlp.*", "audio_lm_head"), whole=("embed_audio_tokens",)
)
COSYVOICE_TEXTS = ("The sun is warm.", "A red boat.", "My dog ran home.", "Rain fell.", "She reads.")
COSYVOICE_OPTIM = OptimConfig(rate=8e-3, weight_decay=0.0, warmup=0.1)
COSYVOICE_ADAPTER = LoRAConfig(8, 16.0, targets=("self_attn.*", "mlp.*", "speech_head"), whole=("embed_speech",))
ALONE = {"clone_share": 0.0, "instruct_share": 0.0, "join_share": 0.0, "tag_share": 0.0, "pause_share": 0.0}


def messages_of(place, text):
    """A scene, sometimes a clip to follow, the words, and the answer."""
    start = [{"role": "system", "content": f"Scene {place}."}] if place % 2 else []
    if place == 0:
        reference = [{"role": "user", "content": "No."}, {"role": "assistant", "content": {"type": "audio"}}]
        start += reference
    answer = {"role": "assistant", "content": [{"type": "audio", "audio_url": "x.wav"}]}
    return [*start, {"role": "user", "content": [{"type": "text", "text": text}]}, answer]


def write_conversations(folder):
    """Five conversations with random codes, as `encode_samples` writes them."""
    generator, lines, clips = np.random.default_rng(1), [], {}
    for place, text in enumerate(HIGGS_TEXTS):
        messages = messages_of(place, text)
        start = 2 if place == 0 else 0
        lines.append(json.dumps({"messages": messages, "start_index": start, "first_clip": len(clips)}))
        for _ in range(sum(message["role"] == "assistant" for message in messages)):
            codes = generator.integers(CODES, size=(CODEBOOKS, 5 + place)).astype(np.int16)
            clips[str(len(clips))] = torch.from_numpy(codes)
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
    save_file(clips, folder / "clips.safetensors")
    write_described(folder, Codes(CODEBOOKS, CODES))
    return folder


def write_sentences(folder):
    """Five sentences of as many random codes as their text may have."""
    generator, start, spoken = np.random.default_rng(3), 0, []
    for number, text in enumerate(COSYVOICE_TEXTS):
        frames = 3 * len(text)
        spoken.append(EncodedUtterance(f"s{number}", "me", 1.0, "en", text, "train", start, frames))
        start += frames
    generator.integers(BACKBONE.codebook_size, size=start).astype(np.int16).tofile(folder / "codes.i16")
    np.full(start, 255, dtype=np.uint8).tofile(folder / "labels.u8")
    (folder / "index.jsonl").write_text("".join(json.dumps(asdict(each)) + "\n" for each in spoken))
    write_described(folder, Codes(1, BACKBONE.codebook_size))
    return folder


def higgs_task(published, samples, **changes):
    recipe = ChatRecipe(**{**vars(HIGGS_RECIPE), **changes})
    torch.manual_seed(0)
    return make_chat_task(recipe, Sources(codes=samples, start_from=published))


def cosyvoice_task(published, codes, arriving=0.0, **changes):
    mix = CosyVoiceMix(
        **ALONE, arriving_share=arriving, spelled_example_share=0.0, tokens_per_batch=9000, candidates=16
    )
    recipe = CosyVoiceLMRecipe(
        "cosyvoice", Budget(steps=1), mix, optim=COSYVOICE_OPTIM, phone_weight=0.0, phone_final=0.0, **changes
    )
    torch.manual_seed(0)
    return make_lm_task(recipe, Sources(codes=codes, start_from=published))


def higgs_says(lm, start, sample):
    """What a model says greedily after all but the answer."""
    config = prompt_config(lm.config)
    prompt = ChatPrompt(start.tokenizer, config).render(sample.messages[:-1], sample.clips[:-1], SPEAK)
    greedy = SamplingOptions(temperature=0.0, repetition_window=None)
    sampler = HiggsSampler(lm.config, prompt, greedy, config.layout)
    model, undelay = HiggsTokenLM(lm), Undelay(CODEBOOKS, lm.config.stream_bos, lm.config.stream_eos)
    cache, whole = model.new_cache(1, len(prompt) + 40), []
    logits = model.prefill(prompt, cache, 0)
    for _ in range(39):
        frame = sampler.next(logits)
        if not hasattr(frame, "codes"):
            break
        if frame.codes:
            whole.append(undelay.push(frame.codes))
        logits = model.step([frame], cache)[0]
    return np.stack([codes for codes in whole if codes is not None], axis=1)


def cosyvoice_says(lm, prompt, most):
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


def published_cosyvoice_lm(published):
    sizes, *_ = read_published_configs(published)
    return load_cosyvoice(first_file(published, PUBLISHED_LM_FILES, ""), sizes).float()


def published_higgs_lm(published):
    return load_higgs(published).float()


def higgs_knows(lm, folder):
    """How many of the five a model says as they are."""
    start = find_start(str(folder / "model"))
    samples = ChatCorpus(folder / "codes").samples
    return sum(np.array_equal(higgs_says(lm, start, sample), sample.clips[-1]) for sample in samples)


def cosyvoice_knows(lm, folder, tokenizer):
    builder, corpus, known = CosyVoicePromptBuilder(tokenizer, lm.config), TokenCorpus(folder / "codes"), 0
    for spoken in corpus.utterances:
        wanted = corpus.codes(spoken)[0].tolist()
        known += cosyvoice_says(lm, builder.build(spoken.text, Voice("somebody")), len(wanted)) == wanted
    return known


FAMILIES = {"higgs": (higgs_task, HIGGS_ADAPTER), "cosyvoice": (cosyvoice_task, COSYVOICE_ADAPTER)}
WAYS = {"sharded": (SHARDED, False), "adapter": (EXACT, True), "sharded adapter": (SHARDED, True)}


def write_five(folder: Path) -> None:
    """Both families' models and samples."""
    for family in FAMILIES:
        (folder / family / "codes").mkdir(parents=True)
    (folder / "higgs" / "model").mkdir()
    shutil.copytree(CODEC, folder / "higgs" / "model" / "audio_tokenizer")
    write_published_lm(folder / "higgs" / "model", "transformers")
    write_conversations(folder / "higgs" / "codes")
    write_cosyvoice(folder / "cosyvoice" / "model")
    write_sentences(folder / "cosyvoice" / "codes")


def make(family: str, folder: Path, adapted: bool):
    maker, adapter = FAMILIES[family]
    here = folder / family
    return maker(here / "model", here / "codes", adapter=adapter if adapted else None)


def learn(family: str, folder: Path, way: str, process: Process) -> None:
    """To the end of the steps, and what comes of it into a folder of that way's name."""
    config, adapted = WAYS[way]
    budget = Budget(steps=STEPS, log_every_steps=1, evaluate_every_minutes=100)
    assert Trainer(make(family, folder, adapted), folder / family / way, budget, process, config).run()


def first_step(family: str, folder: Path, process: Process) -> None:
    """An adapter's first step is the same, however the model lies over the processes."""
    steps = []
    for config in (EXACT, SHARDED):
        stepper = Stepper(make(family, folder, True), process, 1, config)
        steps.append(stepper.step(0, 0.5))
        stepper.close()
    assert all(abs(steps[1][name] - value) <= 1e-5 * max(1, abs(value)) for name, value in steps[0].items()), steps


def join(rank: int, folder: Path) -> None:
    """What each of two processes does."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2)
    try:
        for family in FAMILIES:
            first_step(family, folder, Process(rank))
            for way in WAYS:
                learn(family, folder, way, Process(rank))
    finally:
        distributed.destroy_process_group()
