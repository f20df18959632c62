#!/usr/bin/env bash
# Trains four heads for a target on its own answers: Medusa and EAGLE with K = 1 and 2, for 4,000 steps of 8,192 tokens
# each. The script is meant for a GPU, where the four train in parallel; docs/gpu.md says how to run Koala on a machine
# without .NET.
#
#   docs/train-heads.sh TARGET PROMPTS OUT
#
# The target first answers PROMPTS (OUT/answers.jsonl.gz). The last 400 answers are held out: no head is trained on them.
# The script then measures each head on the last 400 prompts with a greedy chain of 6 tokens (Medusa: 4 tokens, its
# longest draft).
# KOALA names the command (default: ./koala), DEVICE the device (default: cuda) and STEPS the number of steps (default: 4000).
set -euo pipefail
[[ $# == 3 ]] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
target=$1 prompts=$2 out=$3 name=$(basename "$1" .gguf)
koala=${KOALA:-$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../koala}
mkdir -p "$out"

# Files that exist already are kept, so you can run the script again after an interruption.
[[ -e $out/answers.jsonl.gz ]] || "$koala" regenerate --target "$target" --prompts "$prompts" \
    --device "${DEVICE:-cuda}" --out "$out/answers.jsonl.gz"
zcat "$out/answers.jsonl.gz" | head -n -400 | gzip > "$out/train.jsonl.gz"
zcat "$out/answers.jsonl.gz" | tail -n 400 | gzip > "$out/held-out.jsonl.gz"
# A prompt that does not fit the context has no answer, so the answers to the last 400 prompts are all among the held-out
# answers.
zcat -f "$prompts" | tail -n 400 > "$out/questions.jsonl"

train() {
    local head=$name-$1-k$2 draft_length=4
    [[ $1 != eagle ]] || draft_length=6
    [[ -e $out/$head ]] || "$koala" train --target "$target" --head "$1" --layers "$2" \
        --device "${DEVICE:-cuda}" --dtype bf16 --data "$out/train.jsonl.gz" --validation "$out/held-out.jsonl.gz" \
        --steps "${STEPS:-4000}" --batch 16 --row-length 512 --validate-every 500 --save-every 1000 --quiet --out "$out/$head"
    "$koala" evaluate --target "$target" --head "$out/$head" --prompts "$out/questions.jsonl" \
        --device "${DEVICE:-cuda}" --dtype bf16 --max-tokens 320 --draft-length "$draft_length" --batch 50 \
        --quiet --out "$out/held-out-$head.json"
}

jobs=()
for head in medusa eagle; do
    for layers in 1 2; do
        train "$head" "$layers" &
        jobs+=($!)
    done
done
status=0
for job in "${jobs[@]}"; do wait "$job" || status=1; done
exit "$status"
