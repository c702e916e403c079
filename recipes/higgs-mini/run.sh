#!/usr/bin/env bash
# Train the default model from nothing; see README.md. Finished and half-finished steps are not done again.
set -euo pipefail

recordings=${RECORDINGS:?folder of dataset-voice-kathleen}
texts=${TEXTS:?folder of sentences, one a line, with cmu_arctic_prompts.data}
corpus=${CORPUS:-corpus}
runs=${RUNS:-runs}
recipe=$(dirname "$0")
heldout=src/parlando/evaluate/data/heldout_en.txt
device=${DEVICE:-cpu}
# One process a core, each with one thread; one process on a GPU.
processes=${PROCESSES:-$([ "$device" = cpu ] && nproc || echo 1)}

train() {
    OMP_NUM_THREADS=1 python -m torch.distributed.run --standalone --nproc-per-node "$processes" \
        -m parlando train "$@" --device "$device"
}

python "$recipe/table.py" "$recordings" "$texts/cmu_arctic_prompts.data"

parlando data synthesise "$texts"/* -o "$corpus/synthetic" --test "$heldout" \
    --voices slt=5,rms=4,awb=4,kal16=2 --limit 16000
parlando data import "$recordings/metadata.tsv" -o "$corpus/kathleen/source.jsonl"
parlando data align "$corpus/kathleen/source.jsonl" -o "$corpus/kathleen/manifest.jsonl"
[ -f "$corpus/packed/pack.json" ] ||
    parlando data pack "$corpus/kathleen/manifest.jsonl" "$corpus/synthetic/manifest.jsonl" \
        -o "$corpus/packed" --test "$heldout"

[ -f "$corpus/packed/pitch.f16" ] || parlando data pitch "$corpus/packed"

train codec "$recipe/codec.toml" --corpus "$corpus/packed" -o "$runs/codec"
[ -f "$corpus/codes/codes.json" ] ||
    parlando data encode "$corpus/packed" "$runs/codec" -o "$corpus/codes" --device "$device"
train voice-transfer "$recipe/voice_transfer.toml" --corpus "$corpus/packed" --codes "$corpus/codes" -o "$runs/transfer"
[ -f "$corpus/transferred/codes.json" ] ||
    parlando data voice-transfer "$corpus/packed" "$corpus/codes" "$runs/transfer" -o "$corpus/transferred" \
        --speaker kathleen --sources slt,rms,awb --device "$device"
train lm "$recipe/lm.toml" --codes "$corpus/transferred" --codec "$runs/codec" -o "$runs/lm"
train codec "$recipe/decoder.toml" --corpus "$corpus/packed" --from "$runs/codec" -o "$runs/decoder"
train codec "$recipe/decoder_tuned.toml" --corpus "$corpus/packed" --from "$runs/decoder" -o "$runs/decoder_tuned"

parlando train assemble "$recipe/model.toml" --codec "$runs/decoder_tuned" --lm "$runs/lm" \
    --codes "$corpus/transferred" -o "$runs/higgs-mini"
parlando say "It speaks." --model "$runs/higgs-mini" -o "$runs/first.wav"
