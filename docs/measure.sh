#!/usr/bin/env bash
# Makes docs/results and docs/measurements.md anew: about 40 minutes on two cores. Nothing else should run meanwhile.
# Runs lie in runs/measure, which must not exist yet.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

benchmarks() { dotnet run -c Release --project src/Koala.Benchmarks -- "$@"; }

benchmarks steps checkpoints/koala-mini docs/results/steps-koala-mini.json

for target in koala-nano koala-mini; do
    for layers in 1 2; do
        for weight in 0 0.1; do
            run=runs/measure/$target-medusa-k$layers-$([[ $weight == 0 ]] && echo plain || echo adversary)
            ./koala train --target "checkpoints/$target" --head medusa --layers "$layers" --data data/chats-train.jsonl.gz \
                --adversary-weight "$weight" --out "$run"
        done
    done
done
benchmarks training runs/measure docs/results/training.json

rm -f docs/results/evaluate-*.json
for run in runs/measure/*; do
    name=$(basename "$run")
    target=${name%%-medusa*}
    for dtype in fp32 bf16; do
        ./koala evaluate --target "checkpoints/$target" --head "$run" --prompts data/mt-bench.jsonl --limit 20 --max-tokens 64 \
            --dtype "$dtype" --repeats 3 --out "docs/results/evaluate-$name-$dtype.json"
    done
done
benchmarks report docs/results docs/measurements.md
