#!/usr/bin/env bash
# Training speed of the Higgs language model on one GPU, in at most eight minutes; DEVICE=cpu SIZES=small tries it anywhere.
set -euo pipefail

device=${DEVICE:-cuda}
sizes=${SIZES:-published}
seconds=${SECONDS_EACH:-45}
out=${OUT:-runs/train_speed}
mkdir -p "$out"

bench() {
    local name=$1
    local -n launcher=$2
    shift 2
    echo "## $name"
    timeout 115 "${launcher[@]}" bench train --sizes "$sizes" --device "$device" --seconds "$seconds" \
        -o "$out/$name.json" "$@"
}

alone=(python -m parlando)
group=(python -m torch.distributed.run --standalone --nproc-per-node 1 -m parlando)

# The whole model with its optimiser, then the plain one by itself: both at once would not fit.
bench full alone --contenders "dualffn packed" --checkpoint-activations
bench plain alone --contenders "plain packed" --checkpoint-activations
bench fsdp group --contenders "dualffn packed" --checkpoint-activations --strategy fsdp
bench compiled alone --contenders "dualffn packed" --checkpoint-activations --compile
