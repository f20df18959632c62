#!/usr/bin/env bash
# Measures everything again, and writes docs/results and docs/measurements.md. Takes about half an hour on two cores.
# Nothing else should run meanwhile. The script works in runs/measure, which must not exist yet, so the working tree is
# clean while it measures.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

# SmolLM2-135M-Instruct as GGUF is not in the repository. The variable SMOLLM2 names the file; without it what needs it is left out.
work=runs/measure
[[ ! -e $work ]] || { echo "$work exists: remove it first" >&2; exit 2; }
mkdir -p "$work/heads" "$work/results"
dotnet build -c Release src/Koala.Benchmarks --verbosity quiet
koala=./koala
. docs/evaluate.sh
benchmarks() { dotnet src/Koala.Benchmarks/bin/Release/net10.0/koala-benchmarks.dll "$@"; }

for threads in 2 1; do
    benchmarks steps --target checkpoints/koala-mini --threads "$threads" --out "$work/results/steps-koala-mini-$threads.json"
    [[ -z ${SMOLLM2:-} ]] || benchmarks steps --target "$SMOLLM2" --threads "$threads" --repeats 30 \
        --out "$work/results/steps-smollm2-$threads.json"
done
benchmarks batch --target checkpoints/koala-mini --prompts data/gsm8k.jsonl.gz --batch 32,64 --count 192 --max-tokens 320 \
    --out "$work/results/batch-koala-mini.json"
./koala doctor --json | sed "s#$HOME#~#g" > "$work/results/doctor.json"
[[ -z ${SMOLLM2:-} ]] || benchmarks batch --target "$SMOLLM2" --prompts data/gsm8k.jsonl.gz --batch 16 --count 32 \
    --max-tokens 64 --out "$work/results/batch-smollm2.json"

for target in koala-nano koala-mini; do
    for layers in 1 2; do
        for weight in 0 0.1; do
            kind=$([[ $weight == 0 ]] && echo plain || echo adversary)
            ./koala train --target "checkpoints/$target" --head medusa --layers "$layers" --data data/chats-train.jsonl.gz \
                --adversary-weight "$weight" --out "$work/heads/$target-medusa-k$layers-$kind"
        done
    done
done
benchmarks training "$work/heads" "$work/results/training.json"

for head in "$work"/heads/*; do
    name=$(basename "$head")
    # All runs use one draft length, so only K and the adversary differ.
    evaluate "$work/results/evaluate-$name.json" --target "checkpoints/${name%%-medusa*}" --head "$head" \
        --prompts data/mt-bench.jsonl --limit 20 --max-tokens 64 --draft-length 4 --repeats 3
done

all_undisturbed || { echo "what was measured is in $work" >&2; exit 1; }
rm -f docs/results/evaluate-*.json docs/results/batch-*.json docs/results/steps-*.json
cp "$work"/results/*.json docs/results/
benchmarks report docs/results docs/measurements.md
