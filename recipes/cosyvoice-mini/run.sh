#!/usr/bin/env bash
# Train the small model of the CosyVoice family; see README.md. Finished and half-finished steps are not done again.
set -euo pipefail

corpus=${CORPUS:?packed corpus, as recipes/higgs-mini/run.sh makes it (corpus/packed)}
runs=${RUNS:-runs/cosyvoice-mini}
recipe=$(dirname "$0")
device=${DEVICE:-cpu}
# One process a core, each with one thread; one process on a GPU.
processes=${PROCESSES:-$([ "$device" = cpu ] && nproc || echo 1)}

train() {
    OMP_NUM_THREADS=1 python -m torch.distributed.run --standalone --nproc-per-node "$processes" \
        -m parlando train "$@" --device "$device"
}

[ -f "$corpus/pitch.f16" ] || parlando data pitch "$corpus"

train speech-tokenizer "$recipe/speech_tokenizer.toml" --corpus "$corpus" -o "$runs/speech_tokenizer"
train speaker "$recipe/speaker.toml" --corpus "$corpus" -o "$runs/speaker"
[ -f "$runs/codes/codes.json" ] ||
    parlando data encode "$corpus" "$runs/speech_tokenizer" -o "$runs/codes" --speaker "$runs/speaker" --device "$device"
train vocoder "$recipe/vocoder.toml" --corpus "$corpus" -o "$runs/vocoder"
train lm "$recipe/lm.toml" --corpus "$corpus" --codes "$runs/codes" -o "$runs/lm"
[ -f "$runs/resampled/codes.json" ] ||
    parlando data resample-tokens "$runs/codes" "$runs/lm" -o "$runs/resampled" --device "$device"
train flow "$recipe/flow.toml" --corpus "$corpus" --codes "$runs/codes" --resampled "$runs/resampled" -o "$runs/flow"

parlando train assemble "$recipe/model.toml" --speech-tokenizer "$runs/speech_tokenizer" --speaker "$runs/speaker" \
    --vocoder "$runs/vocoder" --flow "$runs/flow" --lm "$runs/lm" --corpus "$corpus" --codes "$runs/codes" \
    -o "$runs/model"
parlando say "It speaks." --model "$runs/model" -o "$runs/first.wav"
