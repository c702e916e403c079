"""Give a voice with few recordings more to learn from: sentences of other speakers, said again with its codes."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, nearest
from parlando.data.pitch import CorpusPitch, pitch_contour
from parlando.data.sampler import at_speed
from parlando.data.shards import PHONES, UNKNOWN_PHONE, Entry, PackedCorpus
from parlando.data.tokens import Codes, EncodedUtterance, TokenCorpus, begin_codes, write_described
from parlando.train.higgs.voice_transfer_net import VoiceTransferConfig, VoiceTransferNet
from parlando.train.higgs.voice_transfer_task import EXPORT, has_phones
from parlando.train.loop.checkpoint import load_weights

logger = logging.getLogger(__name__)
_FORMER_EXPORT = "revoicer"


@dataclass(frozen=True)
class TransferPlan:
    """Who is to say what: ``limit`` sentences of the sources (of all others if none is named), drawn at random."""

    speaker: str
    sources: tuple[str, ...] = ()
    limit: int | None = None
    temperature: float = 0.7
    seed: int = 0


def load_voice_transfer(folder: Path) -> VoiceTransferNet:
    """The network that a training exported, under the name of today or the former one.

    Raises:
        FileMissingError: the folder holds none.
        CheckpointError: the tensors do not fit the config.
    """
    is_former = (folder / f"{_FORMER_EXPORT}.json").is_file() and not (folder / f"{EXPORT}.json").is_file()
    path = folder / f"{_FORMER_EXPORT if is_former else EXPORT}.json"
    network = VoiceTransferNet(from_mapping(VoiceTransferConfig, read_json(path), str(path)))
    load_weights(network, path.with_suffix(".safetensors"))
    return network.eval()


def phone_lengths(corpus: PackedCorpus, entries: Iterable[Entry]) -> dict[str, float]:
    """Each speaker's pace: mean length of a phone in label frames, pauses aside; without phone times there is none."""
    counts: dict[str, list[tuple[int, int]]] = {}
    for entry in entries:
        labels = corpus.labels(entry).reshape(-1)
        spoken = (labels != UNKNOWN_PHONE) & (labels != PHONES.index("pau"))
        starts = spoken & np.diff(labels, prepend=UNKNOWN_PHONE).astype(bool)
        if starts.any():
            counts.setdefault(entry.speaker, []).append((int(spoken.sum()), int(starts.sum())))
    return {s: sum(a for a, _ in pairs) / sum(b for _, b in pairs) for s, pairs in counts.items()}


class VoiceTransfer:
    """Utterances of a packed corpus as codes of one of the network's speakers, at that speaker's pace."""

    def __init__(self, corpus: PackedCorpus, network: VoiceTransferNet, speaker: str, device: str = "cpu") -> None:
        """Learn the paces and ranges of the corpus.

        Raises:
            ConfigError: the network has not learned the speaker, the corpus has no phone times of the speaker, or its
                pitch is not measured.
        """
        known = network.config.speakers
        if speaker not in known:
            hint = nearest(speaker, known)
            raise ConfigError(f"the network has not learned '{speaker}'; it knows {', '.join(known)}.{hint}")
        train = [entry for entry in corpus.entries if entry.split == "train"]
        self.pace = phone_lengths(corpus, train)
        if speaker not in self.pace:
            raise ConfigError(f"'{corpus.folder}' has no phone times of '{speaker}'; see: parlando data align --help")
        self.corpus, self.network, self.device = corpus, network.to(device).eval(), torch.device(device)
        self.number, self.speaker = known.index(speaker), speaker
        self.pitch = CorpusPitch(corpus)
        self.ranges = self.pitch.training_ranges()

    def say(self, entry: Entry, temperature: float, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Codes (int64 [codebook, frame]) and phone labels (uint8 [frame, label])."""
        speed = self.pace[entry.speaker] / self.pace[self.speaker]
        labels = self.corpus.labels(entry)
        frames = max(1, int(len(labels) / speed))
        prosody = pitch_contour(self.pitch.hertz(entry), self.ranges[entry.speaker])
        labels = at_speed(labels, speed, frames)
        prosody = np.concatenate([at_speed(part, speed, frames) for part in np.split(prosody, 2, axis=1)], axis=1)
        codes = self.network.say(
            torch.from_numpy(labels.astype(np.int64))[None].to(self.device),
            torch.from_numpy(prosody)[None].to(self.device),
            torch.tensor([self.number], device=self.device),
            temperature,
            generator,
        )
        return codes[0].cpu().numpy(), labels


def transfer_corpus(tokens: TokenCorpus, transfer: VoiceTransfer, plan: TransferPlan, out: Path) -> int:
    """Write an encoded corpus: all of ``tokens``, then the planned sentences by the wanted speaker.

    Only sentences for training are transferred, so that held-out figures stay those of recordings. Returns how many.

    Raises:
        ConfigError: a source is not in the corpus, nothing is left to say, or ``out`` is a corpus that is read.
    """
    if out.resolve() == tokens.folder.resolve():
        raise ConfigError(f"'{out}' is the corpus to read; name another folder for the one to write")
    chosen, start = _chosen(tokens, transfer, plan), tokens.frames
    begin_codes(out)
    generator = torch.Generator().manual_seed(plan.seed)
    for name in ("codes.i16", "labels.u8", "index.jsonl"):
        shutil.copyfile(tokens.folder / name, out / name)
    with (
        (out / "codes.i16").open("ab") as codes_file,
        (out / "labels.u8").open("ab") as labels_file,
        (out / "index.jsonl").open("a", encoding="utf-8") as index,
    ):
        for entry, spoken in tqdm(chosen, unit="clip", desc="transfer"):
            codes, labels = transfer.say(entry, plan.temperature, generator)
            codes_file.write(codes.T.astype(np.int16).tobytes())
            labels_file.write(labels[:, 0].tobytes())
            said = replace(
                spoken, id=f"{spoken.id}:{plan.speaker}", speaker=plan.speaker, start=start, frames=codes.shape[1]
            )
            index.write(json.dumps(asdict(said), ensure_ascii=False) + "\n")
            start += said.frames
    write_described(out, Codes(tokens.num_codebooks, tokens.codebook_size))
    return len(chosen)


def _chosen(tokens: TokenCorpus, transfer: VoiceTransfer, plan: TransferPlan) -> list[tuple[Entry, EncodedUtterance]]:
    entries = {entry.id: entry for entry in transfer.corpus.entries}
    said = [s for s in tokens.utterances if s.speed == 1.0 and s.split == "train" and s.id in entries]
    others = sorted({s.speaker for s in said} - {plan.speaker})
    for source in plan.sources:
        if source not in others:
            raise ConfigError(
                f"'{source}' is not a valid source speaker; there are: {', '.join(others)}.{nearest(source, others)}"
            )
    pairs = [(entries[s.id], s) for s in said if s.speaker in (plan.sources or others)]
    clear = [pair for pair in pairs if has_phones(transfer.corpus, pair[0])]
    if not clear:
        raise ConfigError(
            f"'{tokens.folder}' has no utterance with phone times by {', '.join(others) or 'anybody else'}"
        )
    if len(clear) < len(pairs):
        logger.warning("left out %d utterances without phone times", len(pairs) - len(clear))
    order = np.random.default_rng(plan.seed).permutation(len(clear))[: plan.limit]
    return [clear[i] for i in sorted(order)]
