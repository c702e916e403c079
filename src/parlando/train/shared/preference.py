"""Direct preference optimisation (DPO, Rafailov et al., 2023) of any family's language model on ranked pairs of takes.

The model as it was is the reference: with an adapter, the model itself while that is switched off; else a frozen copy.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from parlando.core.config import NotNegative, Positive
from parlando.core.errors import ConfigError
from parlando.core.types import IGNORED_LABEL, Prompt
from parlando.data.preferences import Pair, PairCorpus, Take
from parlando.nn.lora import LoRAConfig, without_adapter
from parlando.train.loop.adapters import EVERYTHING
from parlando.train.loop.optim import OptimConfig
from parlando.train.loop.sharding import ParallelConfig
from parlando.train.loop.task import BatchT, Extent, Learner, Objective, Task
from parlando.train.loop.trainer import Budget
from parlando.train.shared.batching import Deck
from parlando.train.shared.lm import SequenceTask, Trained

logger = logging.getLogger(__name__)
_EVALUATED_AT_ONCE = 8


@dataclass(frozen=True)
class PairMix:
    """Sizes of batches, both takes of a pair counted, and the share of the pairs that are held out.

    With ``pack`` nothing is computed for what pads the takes of a batch to one length.
    """

    tokens_per_batch: int = 2400
    candidates: int = 48
    held_out_share: float = 0.1
    pack: bool = False


@dataclass(frozen=True)
class DPOConfig:
    """How strongly the model is held to what it was (``beta``), and what else counts.

    With ``length_normalised``, what is compared is the mean over frames, not the sum, so that long takes weigh no more
    than short ones; ``beta`` is then some ten times larger. ``nll_weight`` is that of the likelihood of the chosen
    take itself, per frame, which keeps it from falling along with that of the rejected one.
    """

    beta: Positive = 0.1
    length_normalised: bool = False
    nll_weight: NotNegative = 0.0


@dataclass(frozen=True, kw_only=True)
class DPORecipe:
    """A preference tuning and its budget.

    ``trainable`` are name patterns of the parameters that learn; with the table ``adapter``, only that does, and no
    copy of the model is kept.
    """

    budget: Budget
    mix: PairMix = field(default_factory=PairMix)
    dpo: DPOConfig = field(default_factory=DPOConfig)
    optim: OptimConfig = field(default_factory=lambda: OptimConfig(rate=1e-5, weight_decay=0.0, warmup=0.1))
    trainable: tuple[str, ...] = EVERYTHING
    adapter: LoRAConfig | None = None
    start_from: str | None = None
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


def dpo_losses(
    policy: Float[Tensor, "pair 2"],
    reference: Float[Tensor, "pair 2"],
    frames: Int[Tensor, "pair 2"],
    config: DPOConfig,
) -> dict[str, Float[Tensor, ""]]:
    """``loss``, and of what it is made, from log-probabilities of the chosen and the rejected takes.

    ``chosen`` and ``rejected`` are the rewards that the model implies, ``margin`` is the one less the other, and
    ``accuracy`` the share of pairs that it ranks as the judges did.
    """
    ratios = policy - reference
    if config.length_normalised:
        ratios = ratios / frames
    rewards = config.beta * ratios
    margins = rewards[:, 0] - rewards[:, 1]
    preference = -functional.logsigmoid(margins).mean()
    nll = -(policy[:, 0] / frames[:, 0]).mean()
    return {
        "loss": preference + config.nll_weight * nll,
        "preference": preference,
        "margin": margins.mean(),
        "accuracy": (margins > 0).float().mean(),
        "chosen": rewards[:, 0].mean(),
        "rejected": rewards[:, 1].mean(),
        "nll": nll,
    }


ExampleT = TypeVar("ExampleT")


@dataclass(frozen=True)
class PairLimits:
    """What a language model can be shown: codes below these sizes, and ``tokens`` of which there are so many.

    ``special_codes`` is how many more codes each codebook has that stand for no sound.
    """

    codebook_sizes: tuple[int, ...]
    tokens: int
    context_length: int
    special_codes: int = 0

    def check(self, pairs: PairCorpus) -> None:
        """Raises:
        ConfigError: the pairs were made by a model that speaks other codes, or reads other text.
        """
        if pairs.codebook_sizes != self.codebook_sizes:
            theirs, own = (_named(sizes) for sizes in (pairs.codebook_sizes, self.codebook_sizes))
            raise ConfigError(
                f"'{pairs.folder}' has {theirs}, the model speaks {own}; make the pairs with the model that is tuned"
            )
        for pair in pairs.pairs:
            wholes = [take.after(pair.prompt) for take in (pair.chosen, pair.rejected)]
            if not all(self._can_read(whole) for whole in wholes):
                raise ConfigError(
                    f"'{pairs.folder}' has tokens or codes that the model does not know, in {pair.sentence!r}; make "
                    "the pairs with the model that is tuned"
                )

    def _can_read(self, whole: Prompt) -> bool:
        tokens_fit = all(0 <= token < self.tokens for token in whole.tokens)
        most = [size + self.special_codes for size in self.codebook_sizes]
        return tokens_fit and bool((whole.codes >= 0).all() and (whole.codes < most).all())

    def fits(self, pair: Pair) -> bool:
        """Whether both takes fit the context."""
        return self._longest(pair) <= self.context_length

    @staticmethod
    def _longest(pair: Pair) -> int:
        return len(pair.prompt) + max(len(take.frames) for take in (pair.chosen, pair.rejected))


class PairSampler(Generic[ExampleT]):
    """Draws batches of pairs of similar length (a `train.shared.lm.Examples`): each chosen take, then the rejected."""

    def __init__(
        self, pairs: PairCorpus, limits: PairLimits, mix: PairMix, example: Callable[[Prompt, Take], ExampleT]
    ) -> None:
        """``example`` makes of a prompt and a take what the family's task collates.

        Raises:
            ConfigError: the pairs are another model's, or none fits the context.
        """
        limits.check(pairs)
        fitting = [pair for pair in pairs.pairs if limits.fits(pair)]
        if len(fitting) < len(pairs.pairs):
            left_out = len(pairs.pairs) - len(fitting)
            logger.warning("left out %d pairs longer than %d positions", left_out, limits.context_length)
        if not fitting:
            raise ConfigError(f"no pair of '{pairs.folder}' fits the model's {limits.context_length} positions")
        self.mix, self._example, self._deck = mix, example, Deck(fitting, mix.held_out_share)

    def batch(self, number: int) -> list[ExampleT]:
        """Both takes of pairs of similar length, together about ``tokens_per_batch`` positions."""
        return self._shown(self._deck.batch(number, _cost, self.mix.tokens_per_batch, self.mix.candidates))

    def held_out(self) -> list[ExampleT]:
        """Both takes of those that training never sees, short ones first."""
        return self._shown(sorted(self._deck.held_out, key=_cost))

    def _shown(self, pairs: Sequence[Pair]) -> list[ExampleT]:
        return [self._example(pair.prompt, take) for pair in pairs for take in (pair.chosen, pair.rejected)]


class Frozen(nn.Module):
    """A module that does not learn, and is never in its mode for training."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Frozen:
        """Stay as it is."""
        del mode
        return self


class PreferenceTask(Task[BatchT]):
    """Tunes the language model of a family's task, whose examples are those of a `PairSampler`."""

    autocast_on = SequenceTask.autocast_on
    batch_setting = SequenceTask.batch_setting
    compare = staticmethod(dpo_losses)
    """What is lost on pairs, by the log-probabilities of both takes."""

    def __init__(self, task: SequenceTask[Any, BatchT], config: DPOConfig) -> None:
        self._task, self._config, self._lm = task, config, task.speaker
        adapter = task.config.adapter
        # What learns as a whole beside an adapter cannot be switched off.
        switched = adapter is not None and not adapter.whole
        self._reference = None if switched else Frozen(deepcopy(self._lm))
        self.trained = Trained([self._lm, *([] if self._reference is None else [self._reference])], self.losses)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The layers of the language model, and of the reference."""
        models = [self._lm] if self._reference is None else [self._lm, self._reference.module]
        return tuple(layer for model in models for layer in cast("Any", model).layers)

    @property
    def modules(self) -> Mapping[str, nn.Module]:
        """The language model, and the reference if there is one."""
        return {"trained": self.trained}

    @property
    def learners(self) -> Mapping[str, Learner]:
        """The language model."""
        return {"model": Learner(self.trained, self._task.config.optim)}

    def batch(self, number: int) -> BatchT:
        """Pairs of about one length."""
        return self._task.batch(number)

    def extent(self, batch: BatchT) -> Extent:
        """In pairs."""
        return replace(self._task.extent(batch), units=len(self._task.targets(batch)) // 2)

    def objectives(self, batch: BatchT, progress: float) -> Iterator[Objective]:
        """That the chosen takes gain on the rejected ones."""
        del progress
        losses = self.trained(batch)
        yield Objective("model", losses["loss"], losses)

    def losses(self, batch: BatchT) -> dict[str, Float[Tensor, ""]]:
        """``loss``, and what `dpo_losses` tells of it."""
        frames = (self._task.targets(batch) != IGNORED_LABEL).sum(1)
        said = self._task.log_probabilities(batch, self._lm).sum(1)
        return self.compare(_in_pairs(said), _in_pairs(self.reference(batch)), _in_pairs(frames), self._config)

    @torch.no_grad()
    def reference(self, batch: BatchT) -> Float[Tensor, " batch"]:
        """Log-probabilities of takes by the model as it was."""
        if self._reference is not None:
            return self._task.log_probabilities(batch, self._reference.module).sum(1)
        with without_adapter(self._lm):
            return self._task.log_probabilities(batch, self._lm).sum(1)

    def evaluate(self, device: torch.device) -> Mapping[str, float]:
        """The losses of held-out pairs."""
        examples, step = self._task.sampler.held_out(), 2 * _EVALUATED_AT_ONCE
        batches = [examples[first : first + step] for first in range(0, len(examples), step)]
        found = [self.trained(self._task.collate(batch).to(device)) for batch in batches]
        shares = [len(batch) / len(examples) for batch in batches]
        return {
            name: sum(float(losses[name]) * share for losses, share in zip(found, shares, strict=True))
            for name in found[0]
        }

    def export(self, folder: Path) -> None:
        """As the family's task does."""
        self._task.export(folder)


def _in_pairs(values: Tensor) -> Tensor:
    """Values of takes, [2 × pair], as [pair, 2]."""
    return values.view(-1, 2)


def _cost(pair: Pair) -> int:
    return 2 * len(pair.prompt) + len(pair.chosen.frames) + len(pair.rejected.frames)


def _named(sizes: tuple[int, ...]) -> str:
    return f"{len(sizes)} codebooks of {'/'.join(map(str, dict.fromkeys(sizes)))} codes"
