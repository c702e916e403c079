"""`parlando data`: sentences and recordings into a packed corpus, step by step; every step says what it made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from parlando.cli.options import command
from parlando.cli.preferences import make_preferences
from parlando.cli.teach import check_recordings, install_teacher, read_sentences, synthesise_corpus

app = typer.Typer(help="Make or import a training corpus.", no_args_is_help=True)


app.command("synthesise")(synthesise_corpus)
app.command("check")(check_recordings)
app.command("install-teacher")(install_teacher)
app.command("preferences")(make_preferences)


@app.command("import")
def import_recordings(
    table: Annotated[Path, typer.Argument(help="Tab-separated: path, speaker, language, text, seconds.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Manifest to write (.jsonl).")],
) -> None:
    """Bring a folder of recordings into a manifest.

    The audio stays where it is.

    Example: parlando data import recordings/metadata.tsv -o corpus/voice/source.jsonl
    """
    from parlando.data.imports import import_table

    typer.echo(f"{import_table(table, out)} recordings in {out}", err=True)


@app.command("align")
def align_recordings(
    manifest: Annotated[Path, typer.Argument(help="Manifest of recordings with transcripts.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Manifest to write, in the same folder.")],
) -> None:
    """Add phone times to recordings by forced alignment.

    It resumes where it stopped.

    Example: parlando data align corpus/voice/source.jsonl -o corpus/voice/manifest.jsonl
    """
    from parlando.data.align import align_manifest

    failed = align_manifest(manifest, out)
    typer.echo(f"aligned into {out}; {failed} clips do not fit their text and go without phone times", err=True)


@app.command("pack")
def pack_corpus(
    manifests: Annotated[list[Path], typer.Argument(help="Manifests to pack together.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the packed corpus.")],
    test: Annotated[Path | None, typer.Option(help="Sentences that no training may see.")] = None,
) -> None:
    """Resample, level and pack audio and labels for training.

    Example: parlando data pack voice/manifest.jsonl synthetic/manifest.jsonl -o packed --test heldout.txt
    """
    from parlando.data.shards import pack

    count = pack(manifests, out, read_sentences([test] if test else []))
    typer.echo(f"{count} utterances packed in {out}", err=True)


@app.command("encode")
def encode(
    packed: Annotated[Path, typer.Argument(help="Packed corpus.")],
    codec: Annotated[Path, typer.Argument(help="Folder of a trained codec or speech tokenizer.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the encoded corpus.")],
    speaker: Annotated[Path | None, typer.Option(help="Folder of a trained speaker encoder.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Turn a packed corpus into codes.

    They are the language model's training data; with --speaker, there are embeddings too.

    Example: parlando data encode corpus/packed runs/codec -o corpus/codes
    """
    from parlando.data.shards import PackedCorpus
    from parlando.train.encode import embed_corpus, encode_corpus
    from parlando.train.registry import load_embedder, load_encoder

    corpus = PackedCorpus(packed)
    rate = corpus.config.sample_rate
    embedder = load_embedder(speaker, rate) if speaker else None
    frames = encode_corpus(corpus, load_encoder(codec, rate), out, device=device)
    if embedder is not None:
        embed_corpus(corpus, embedder, out, device)
    typer.echo(f"{frames} frames in {out}", err=True)


@app.command("shard")
def shard(
    codes: Annotated[Path, typer.Argument(help="Encoded corpus.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the shards.")],
    utterances: Annotated[int, typer.Option(help="Utterances in a shard.", min=1)] = 1000,
) -> None:
    """Put an encoded corpus into shards that trainings stream.

    They are shuffled, in tar files as WebDataset lays them out; a language model's training takes them for --codes.

    Example: parlando data shard corpus/codes -o corpus/shards
    """
    from parlando.data.streams import write_shards
    from parlando.data.tokens import TokenCorpus

    described = write_shards(TokenCorpus(codes), out, utterances)
    typer.echo(f"{len(described.train)} shards in {out}", err=True)


@app.command("encode-chat")
def encode_chat(
    samples: Annotated[Path, typer.Argument(help="ChatML samples, one a line (.jsonl).")],
    model: Annotated[str, typer.Argument(help="The model whose codec encodes their clips: name, folder or hub id.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the encoded samples.")],
) -> None:
    """Turn the clips of conversations into codes.

    A Higgs model learns from them (train chat). Samples whose clips cannot be read are listed and left out.

    Example: parlando data encode-chat samples.jsonl my-model -o corpus/chat
    """
    from parlando.core.errors import ConfigError
    from parlando.models.locate import locate
    from parlando.train.higgs.chat_samples import SKIPPED, encode_samples
    from parlando.train.higgs.encoders import find_encoder

    codec = find_encoder(locate(model), 0)
    if codec is None:
        raise ConfigError(f"'{model}' has no codec of the Higgs family; name a model of that")
    count, faults = encode_samples(samples, codec, out)
    typer.echo(
        f"{count} samples in {out}" + (f"; {len(faults)} left out, see {out / SKIPPED}" if faults else ""), err=True
    )


@app.command("pitch")
def pitch(packed: Annotated[Path, typer.Argument(help="Packed corpus.")]) -> None:
    """Measure the pitch of a packed corpus and keep it there.

    Voice transfer and CosyVoice's trainings need it.

    Example: parlando data pitch corpus/packed
    """
    from parlando.data.pitch import measure_pitch
    from parlando.data.shards import PackedCorpus

    typer.echo(f"{measure_pitch(PackedCorpus(packed)):.0%} of {packed} is voiced", err=True)


@dataclass(frozen=True, kw_only=True)
class VoiceTransferOptions:
    """Options of `parlando data voice-transfer`."""

    packed: Annotated[Path, typer.Argument(help="Packed corpus.")]
    codes: Annotated[Path, typer.Argument(help="The same corpus, encoded.")]
    network: Annotated[Path, typer.Argument(help="Folder of that training (train voice-transfer).")]
    speaker: Annotated[str, typer.Option(help="The speaker who is to have more to say.")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the encoded corpus to write, all of CODES in it.")]
    sources: Annotated[str, typer.Option(help="Whose sentences, comma-separated; all others' if not given.")] = ""
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many sentences.")] = None
    temperature: Annotated[float, typer.Option(help="Variety of the sound; the content is the likeliest.")] = 0.7
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu"


@app.command("voice-transfer")
@app.command("revoice", hidden=True)
@command(VoiceTransferOptions)
def voice_transfer(options: VoiceTransferOptions) -> None:
    """Let a speaker say other speakers' sentences too.

    For one with few recordings; what is said is kept as codes, to train a language model on.

    Example: parlando data voice-transfer corpus/packed corpus/codes runs/voice-transfer --speaker kathleen
    --sources slt,rms,awb -o corpus/more
    """
    from parlando.data.shards import PackedCorpus
    from parlando.data.tokens import TokenCorpus
    from parlando.train.higgs.voice_transfer import TransferPlan, VoiceTransfer, load_voice_transfer, transfer_corpus

    sources = tuple(name.strip() for name in options.sources.split(",") if name.strip())
    plan = TransferPlan(options.speaker, sources, options.limit, options.temperature)
    tokens, trained = TokenCorpus(options.codes), load_voice_transfer(options.network)
    voice = VoiceTransfer(PackedCorpus(options.packed), trained, options.speaker, options.device)
    count = transfer_corpus(tokens, voice, plan, options.out)
    typer.echo(f"{count} sentences by {options.speaker} added in {options.out}", err=True)


@app.command("resample-tokens")
@app.command("retell", hidden=True)
def resample(
    codes: Annotated[Path, typer.Argument(help="Encoded corpus.")],
    lm: Annotated[Path, typer.Argument(help="Folder of a language model that was trained on it (CosyVoice).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the encoded corpus to write.")],
    temperature: Annotated[float, typer.Option(help="How far from the likeliest codes it draws.")] = 0.7,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Have a language model draw a corpus's codes anew.

    A flow that learns from these too (`train flow --resampled`) hears past the model's misses.

    Example: parlando data resample-tokens runs/codes runs/lm -o runs/resampled
    """
    from parlando.core.types import SamplingOptions
    from parlando.data.tokens import TokenCorpus
    from parlando.train.cosyvoice.resample_tokens import load_token_resampler, resample_tokens

    options = SamplingOptions(temperature=temperature, top_k=25, top_p=0.8)
    done = resample_tokens(TokenCorpus(codes), load_token_resampler(lm, options, device), out)
    typer.echo(f"{done.frames} codes drawn in {out}, {done.same / max(1, done.frames):.0%} as they were", err=True)


@dataclass(frozen=True, kw_only=True)
class MelOptions:
    """Options of `parlando data mels`."""

    packed: Annotated[Path, typer.Argument(help="Packed corpus.")]
    codes: Annotated[Path, typer.Argument(help="The same corpus, encoded.")]
    flow: Annotated[Path, typer.Argument(help="Folder of a trained flow (CosyVoice).")]
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the mels to write.")]
    resampled: Annotated[
        Path | None,
        typer.Option("--resampled", "--retold", help="The codes as a language model draws them (resample-tokens)."),
    ] = None
    hours: Annotated[float, typer.Option(min=0.0, help="About so much speech.")] = 4.0
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu"


@app.command("mels")
@command(MelOptions)
def mels(options: MelOptions) -> None:
    """Have a flow make the mels of a corpus from its codes.

    A vocoder that learns from these too (`train vocoder --mels`) knows the flow's faults.

    Example: parlando data mels corpus/packed runs/codes runs/flow --resampled runs/resampled -o runs/mels
    """
    from parlando.data.shards import PackedCorpus
    from parlando.data.tokens import TokenCorpus
    from parlando.models.cosyvoice.parts.part_weights import load_flow
    from parlando.train.cosyvoice.flow_examples import FlowMixConfig, FlowSampler
    from parlando.train.cosyvoice.predicted_mels import predict_mels

    resampled = None if options.resampled is None else TokenCorpus(options.resampled)
    mix = FlowMixConfig(resampled_share=0.0 if resampled is None else 1.0)
    sampler = FlowSampler(PackedCorpus(options.packed), TokenCorpus(options.codes), mix, resampled)
    hours = predict_mels(sampler, load_flow(options.flow).to(options.device), options.out, options.hours)
    typer.echo(f"{hours:.1f} h of mels in {options.out}", err=True)


@app.command("lexicon")
def lexicon(
    words: Annotated[Path, typer.Argument(help="Dictionary in the format of CMU's: a word and its phones a line.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Packed lexicon to write.")],
) -> None:
    """Build a packed pronunciation lexicon.

    Of the pronunciations written for a word, the one is taken that flite agrees with.

    Example: parlando data lexicon cmudict.dict -o en.lexicon.xz
    """
    from parlando.data.lexicon import build_lexicon, read_cmudict

    typer.echo(f"{build_lexicon(read_cmudict(words), out)} words in {out}", err=True)
