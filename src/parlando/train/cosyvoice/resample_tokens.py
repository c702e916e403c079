"""A corpus's codes as a language model says them: each drawn with the true ones before it.

Whatever makes sound of codes learns from those of recordings and then hears a language model's, which miss them here
and there. Shown both, it learns to hear past the misses, as Tacotron 2's vocoder learns from spectrograms that were
predicted next to the true past (Shen et al., 2018).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from parlando.core.config import from_mapping, read_json
from parlando.core.errors import ConfigError, PromptTooLongError, TextError
from parlando.core.types import SamplingOptions, Voice
from parlando.data.tokens import SPEAKERS, Codes, EncodedUtterance, TokenCorpus, begin_codes, write_described
from parlando.models.cosyvoice.build import build_tokenizer
from parlando.models.cosyvoice.config import DRAW_RULES, LMConfig
from parlando.models.cosyvoice.lm import CosyVoiceLM
from parlando.models.cosyvoice.lm_weights import load_lm
from parlando.models.cosyvoice.parts.mbr import MinimumBayesRisk
from parlando.models.cosyvoice.prompt import CosyVoicePromptBuilder, TrainingExample
from parlando.models.cosyvoice.tokenizer import TextTokenizer
from parlando.nn.sampling import Ranking, check_options, invert
from parlando.train.cosyvoice.start import read_text
from parlando.train.shared.start import LM_CONFIG

logger = logging.getLogger(__name__)
_NOBODY = Voice("nobody")


@dataclass(frozen=True)
class Resampled:
    """What became of a corpus: how many codes were drawn, and how many of them came out as they were."""

    frames: int
    same: int


class TokenResampler:
    """A language model that says what was said already.

    Raises:
        ConfigError: options out of range.
    """

    def __init__(
        self,
        lm: CosyVoiceLM,
        options: SamplingOptions,
        tokenizer: TextTokenizer,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        check_options(options)
        self.lm, self.options, self.device = lm.to(device).eval(), options, torch.device(device)
        self.builder = CosyVoicePromptBuilder(tokenizer, lm.config)
        self._mbr, self._generator = (
            MinimumBayesRisk(lm.config.codebook_size, lm.config.code_levels),
            np.random.default_rng(seed),
        )

    def example(self, text: str, codes: Int[np.ndarray, "1 frame"]) -> TrainingExample | None:
        """What it is shown of an utterance, or nothing if that is too long, or cannot be read."""
        try:
            return self.builder.build_training(text, _NOBODY, codes)
        except (PromptTooLongError, TextError):
            return None

    @torch.inference_mode()
    def say(self, examples: Sequence[TrainingExample]) -> list[Int[np.ndarray, " frame"]]:
        """A code for each code of every example, as if all before it had been said rightly; drawn as for speech."""
        prompts = [example.prompt for example in examples]
        tokens = [torch.tensor(prompt.tokens) for prompt in prompts]
        is_speech = [torch.from_numpy(prompt.audio_mask) for prompt in prompts]
        codes = [torch.zeros(len(prompt), dtype=torch.long) for prompt in prompts]
        for row, prompt in enumerate(prompts):
            codes[row][is_speech[row]] = torch.from_numpy(prompt.codes[:, 0].astype(np.int64))
        batch = (pad_sequence(each, batch_first=True).to(self.device) for each in (tokens, codes, is_speech))
        hidden = self.lm(*batch)
        said = []
        for row, example in enumerate(examples):
            speaks = (example.labels >= 0) & (example.labels < self.lm.config.codebook_size)
            logits = self.lm.speech_logits(hidden[row, torch.from_numpy(np.flatnonzero(speaks)).to(self.device)])
            ranking = Ranking(logits.cpu()[:, None], DRAW_RULES).without(self.lm.config.stop_codes)
            kept = ranking.kept(self.options)
            drawn = [
                invert(kept.cumulative[:, 0], self._generator.random(len(logits)))
                for _ in range(self.lm.config.consensus_draws)
            ]
            said.append(self._mbr.of(np.take_along_axis(kept.indices[:, 0], np.stack(drawn, axis=1), axis=1)))
        return said


def load_token_resampler(folder: Path, options: SamplingOptions, device: str = "cpu") -> TokenResampler:
    """The language model that a CosyVoice training exported.

    Raises:
        FileMissingError: the folder holds none.
        CheckpointError: the tensors do not fit the config.
        ConfigError: it is another family's, or options are out of range.
    """
    config = from_mapping(LMConfig, read_json(folder / LM_CONFIG), str(folder / LM_CONFIG))
    return TokenResampler(load_lm(folder, config), options, build_tokenizer(read_text(folder), folder), device)


def resample_tokens(tokens: TokenCorpus, resampler: TokenResampler, out: Path, batch: int = 8) -> Resampled:
    """Write the corpus ``tokens`` once more, with the codes that the language model drew.

    Raises:
        ConfigError: the codes are not this model's, or ``out`` is a corpus that is read.
    """
    if tokens.codebook_size != resampler.lm.config.codebook_size or tokens.num_codebooks != 1:
        raise ConfigError(
            f"'{tokens.folder}' has {tokens.num_codebooks} codebooks of {tokens.codebook_size} codes, the model "
            f"one of {resampler.lm.config.codebook_size}; encode the corpus with the tokenizer that it was trained on"
        )
    if out.resolve() == tokens.folder.resolve():
        raise ConfigError(f"'{out}' is the corpus to read; name another folder for the one to write")
    begin_codes(out)
    copied = ["labels.u8", "index.jsonl", *([SPEAKERS] if tokens.speaker_dim else [])]
    for name in copied:
        shutil.copyfile(tokens.folder / name, out / name)
    codes = np.fromfile(tokens.folder / "codes.i16", dtype=np.int16)
    frames = same = 0
    for spoken, said in _resampled(tokens, resampler, batch):
        place = slice(spoken.start, spoken.start + spoken.frames)
        frames, same = frames + len(said), same + int((codes[place] == said).sum())
        codes[place] = said
    codes.tofile(out / "codes.i16")
    write_described(out, Codes(1, tokens.codebook_size, tokens.speaker_dim))
    if left := tokens.frames - frames:
        logger.warning("left %d codes as they are, of utterances that the model cannot read, or too long for it", left)
    return Resampled(frames, same)


def _resampled(
    tokens: TokenCorpus, resampler: TokenResampler, batch: int
) -> Iterator[tuple[EncodedUtterance, Int[np.ndarray, " frame"]]]:
    """Utterances and their new codes, those of about one length together."""
    ordered = sorted(tokens.utterances, key=lambda spoken: spoken.frames)
    with tqdm(total=len(ordered), unit="clip", desc="resample") as bar:
        for first in range(0, len(ordered), batch):
            several = ordered[first : first + batch]
            shown = [(spoken, resampler.example(spoken.text, tokens.codes(spoken))) for spoken in several]
            fitting = [(spoken, example) for spoken, example in shown if example is not None]
            if fitting:
                said = resampler.say([example for _, example in fitting])
                yield from zip((spoken for spoken, _ in fitting), said, strict=True)
            bar.update(len(several))
