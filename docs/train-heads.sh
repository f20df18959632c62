#!/usr/bin/env bash
# Trains a target's heads on its own answers: Medusa and EAGLE, K = 1 and 2, 4,000 steps of 8,192 tokens each.
# For a GPU, where the four are trained side by side; see docs/gpu.md for a machine without .NET.
#
#   docs/train-heads.sh TARGET PROMPTS OUT
#
# PROMPTS are answered by the target first (OUT/answers.jsonl.gz). The last 400 are held out: heads are never trained on their answers, and acceptance is
# measured on them, on a greedy chain of 6 (Medusa: as long as it drafts). KOALA names the command (default ./koala), DEVICE where it runs (default cuda), STEPS the number of steps.
set -euo pipefail
[[ $# == 3 ]] || { sed -n '2,9s/^# \{0,1\}//p' "$0" >&2; exit 2; }
target=$1 prompts=$2 out=$3 name=$(basename "$1" .gguf)
koala=${KOALA:-$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../koala}
mkdir -p "$out"

# What is there already stays: the script can be run again after an interruption.
[[ -e $out/answers.jsonl.gz ]] || "$koala" regenerate --target "$target" --prompts "$prompts" --device "${DEVICE:-cuda}" --out "$out/answers.jsonl.gz"
zcat "$out/answers.jsonl.gz" | head -n -400 | gzip > "$out/train.jsonl.gz"
zcat "$out/answers.jsonl.gz" | tail -n 400 | gzip > "$out/held-out.jsonl.gz"
# Prompts that do not fit have no answer, so that these questions' answers are all among those held out.
zcat -f "$prompts" | tail -n 400 > "$out/questions.jsonl"

train() {
    [[ -e $out/$name-$1-k$2 ]] || "$koala" train --target "$target" --head "$1" --layers "$2" --device "${DEVICE:-cuda}" --dtype bf16 --data "$out/train.jsonl.gz" \
        --validation "$out/held-out.jsonl.gz" --steps "${STEPS:-4000}" --batch 16 --row-length 512 --validate-every 500 --save-every 1000 --quiet --out "$out/$name-$1-k$2"
    "$koala" evaluate --target "$target" --head "$out/$name-$1-k$2" --prompts "$out/questions.jsonl" --device "${DEVICE:-cuda}" --dtype bf16 --max-tokens 320 \
        $([[ $1 == eagle ]] && echo --draft-length 6 || echo --draft-length 4) --batch 50 --quiet --out "$out/held-out-$name-$1-k$2.json"
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
