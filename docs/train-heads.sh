#!/usr/bin/env bash
# Trains four heads for a target on its own answers: Medusa and EAGLE with K = 1 and 2, for 4,000 steps of 8,192 tokens
# each. The script is meant for a GPU, where the four train in parallel; docs/gpu.md says how to run Koala on a machine
# without .NET.
#
#   docs/train-heads.sh TARGET PROMPTS OUT
#
# The target first answers PROMPTS (OUT/answers.jsonl.gz). The last 400 answers are held out: no head is trained on them.
# The script then measures each head on the last 400 prompts with a greedy chain of 6 tokens (Medusa: 4 tokens, its
# longest draft), one after another. Nothing else should run meanwhile.
# KOALA names the command (default: ./koala), DEVICE the device (default: cuda) and STEPS the number of steps (default: 4000).
set -euo pipefail
[[ $# == 3 ]] || { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
target=$1 prompts=$2 out=$3 name=$(basename "$1" .gguf)
docs=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
koala=${KOALA:-$docs/../koala}
. "$docs/evaluate.sh"
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
    [[ -e $out/$name-$1-k$2 ]] || "$koala" train --target "$target" --head "$1" --layers "$2" \
        --device "${DEVICE:-cuda}" --dtype bf16 --data "$out/train.jsonl.gz" --validation "$out/held-out.jsonl.gz" \
        --steps "${STEPS:-4000}" --batch 16 --row-length 512 --validate-every 500 --save-every 1000 --quiet \
        --out "$out/$name-$1-k$2"
}

declare -A jobs=()
for head in medusa-k1 medusa-k2 eagle-k1 eagle-k2; do
    train "${head%-k*}" "${head#*-k}" &
    jobs[$head]=$!
done
# A head that could not be trained does not keep the others from being measured. The first evaluation begins when the last
# training has ended.
trained=() status=0
for head in medusa-k1 medusa-k2 eagle-k1 eagle-k2; do
    if wait "${jobs[$head]}"; then trained+=("$head"); else status=1; fi
done
for head in "${trained[@]}"; do
    draft_length=4
    [[ $head != eagle-* ]] || draft_length=6
    evaluate "$out/held-out-$name-$head.json" --target "$target" --head "$out/$name-$head" --prompts "$out/questions.jsonl" \
        --device "${DEVICE:-cuda}" --dtype bf16 --max-tokens 320 --draft-length "$draft_length" --batch 50 --quiet || status=1
done
all_undisturbed || status=1
exit "$status"
