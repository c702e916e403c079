"""What the command makes of the machine: `parlando data synthesise --teacher kokoro` against the bare model.

python recipes/teacher_speed.py sentences.txt

Both say the same sentences with a process on every core. The bare model gets symbols that were read beforehand and
keeps nothing; the command reads the text, speaks, checks, and writes FLAC, phone times, pitch and energy. They take
turns, so that a machine which slows down slows both, and what each needs to start and to warm up is left out.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from parlando.data.teachers.kokoro.backends import AUTO, BACKENDS, choose_backend, prepare_parts
from parlando.data.teachers.kokoro.install import installed
from parlando.data.teachers.kokoro.reading import numbered, reader
from parlando.data.teachers.kokoro.symbols import SAMPLE_RATE

VOICE = "af_heart"
POLL_SECONDS = 0.2


def ready_inputs(texts: Sequence[str]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tokens and style of every sentence that has symbols for all it says."""
    files = installed()
    vocabulary, read = files.vocabulary(), reader("en", False)
    inputs = []
    for text in texts:
        symbols, _ = numbered(read(text), vocabulary)
        if symbols and all(symbol in vocabulary for symbol in symbols):
            tokens = np.array([[0, *(vocabulary[symbol] for symbol in symbols), 0]], np.int64)
            inputs.append((tokens, files.voices.style(VOICE, len(symbols))))
    return inputs


def bare_rate(options: argparse.Namespace, backend: str, texts: Sequence[str]) -> float:
    """Seconds of audio that one process makes in a second, after a warm-up."""
    inputs, model = ready_inputs(texts), BACKENDS[backend](installed())

    def said(seconds: float) -> float:
        begin, samples = time.perf_counter(), 0
        while inputs and time.perf_counter() - begin < seconds:
            samples += len(model.utter(*inputs.pop(), 1.0).samples)
        return samples / SAMPLE_RATE / (time.perf_counter() - begin)

    said(options.warm_seconds)
    return said(options.seconds)


def bare(options: argparse.Namespace, backend: str, texts: Sequence[str]) -> float:
    """The bare model, a process on every core."""
    workers = options.workers
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        parts = [(options, backend, texts[index::workers]) for index in range(workers)]
        return sum(pool.starmap(bare_rate, parts))


def command(options: argparse.Namespace, backend: str, texts: Sequence[str]) -> float:
    """The command, while it runs: what its manifest grows by."""
    with tempfile.TemporaryDirectory() as folder:
        sentences, corpus = Path(folder, "sentences.txt"), Path(folder, "corpus")
        sentences.write_text("\n".join(texts) + "\n", encoding="utf-8")
        arguments = ["data", "synthesise", str(sentences), "-o", str(corpus), "--teacher", "kokoro"]
        arguments += ["--voices", f"{VOICE}=1", "--workers", str(options.workers), "--backend", backend]
        running = subprocess.Popen([sys.executable, "-m", "parlando", *arguments], stderr=subprocess.DEVNULL)
        try:
            marks = grown(running, corpus / "manifest.jsonl", options)
            (first_time, first), (last_time, last) = next(marks), next(marks)
        finally:
            running.terminate()
            running.wait()
        return (last - first) / (last_time - first_time)


def grown(
    running: subprocess.Popen[bytes], manifest: Path, options: argparse.Namespace
) -> Iterator[tuple[float, float]]:
    """The time and the seconds in a manifest at the end of the warm-up, begun by the first clip, and at the end of all.

    A mark is set where a line has just come, so that half a batch counts at neither end.
    """
    for span in (options.warm_seconds, options.seconds):
        before, begin = lines_of(manifest), None
        while begin is None or time.perf_counter() - begin < span or lines_of(manifest) == before:
            if running.poll() is not None:
                raise SystemExit("the command ended before the time was over; give more sentences")
            before = lines_of(manifest)
            begin = time.perf_counter() if begin is None and before else begin
            time.sleep(POLL_SECONDS)
        yield time.perf_counter(), sum(json.loads(line)["seconds"] for line in lines_of(manifest))


def lines_of(manifest: Path) -> list[str]:
    """The whole lines of a file that grows."""
    return manifest.read_text(encoding="utf-8").split("\n")[:-1] if manifest.exists() else []


def main() -> None:
    """Take turns, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sentences", type=Path, help="texts, a sentence a line; some hundreds")
    parser.add_argument("--seconds", type=float, default=40, help="of every turn")
    parser.add_argument("--warm-seconds", type=float, default=10, help="before every turn")
    parser.add_argument("--turns", type=int, default=2, help="of each")
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count(), help="processes")
    parser.add_argument("--backend", default=AUTO, help="openvino, onnxruntime, or auto: the faster one that is there")
    options = parser.parse_args()
    backend = choose_backend(options.backend)
    if backend == "openvino":
        prepare_parts(installed())
    texts = [line for line in options.sentences.read_text(encoding="utf-8").splitlines() if line.strip()]
    rates: dict[str, list[float]] = {"bare model": [], "command": []}
    for _ in range(options.turns):
        for name, measure in (("bare model", bare), ("command", command)):
            rates[name].append(measure(options, backend, texts))
            print(
                f"{name}: {rates[name][-1]:.2f} s of audio per s ({backend}, {options.workers} processes)", flush=True
            )
    print(f"command / bare model: {sum(rates['command']) / sum(rates['bare model']):.3f}")


if __name__ == "__main__":
    main()
