#!/usr/bin/env bash
# Measures the heads of this clone on this machine, and writes docs/results/heads and docs/measurements.md. Takes about
# 15 minutes on two cores. Nothing else should run meanwhile. The script works in runs/measure-heads, which must not
# exist yet, so the working tree is clean while it measures.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

work=runs/measure-heads
[[ ! -e $work ]] || { echo "$work exists: remove it first" >&2; exit 2; }
mkdir -p "$work"
dotnet build -c Release src/Koala.Benchmarks --verbosity quiet
koala=./koala
. docs/evaluate.sh
measure() { evaluate "$work/$1.json" --target checkpoints/koala-mini --max-tokens 96 --quiet "${@:2}"; }

for head in eagle-k2 eagle-k1 medusa-k2 medusa-k1; do
    measure "mt-bench-$head" --head "checkpoints/koala-mini-$head" --prompts data/mt-bench.jsonl --dtype fp32
done
measure mt-bench-eagle-k2-bf16 --head checkpoints/koala-mini-eagle-k2 --prompts data/mt-bench.jsonl --dtype bf16
measure mt-bench-eagle-k2-dynamic --head checkpoints/koala-mini-eagle-k2 --prompts data/mt-bench.jsonl --dtype fp32 \
    --tree dynamic --tree-tokens 8 --tree-levels 4 --tree-top-k 2
measure mt-bench-prompt-lookup --head prompt-lookup --prompts data/mt-bench.jsonl --dtype fp32
# The best head also gets ten prompts of each category of Spec-Bench.
gzip -dc data/spec-bench.jsonl.gz > "$work/spec-bench.jsonl"
for category in $(grep -o '"category": "[^"]*"' "$work/spec-bench.jsonl" | sort -u | cut -d'"' -f4); do
    grep -m 10 "\"category\": \"$category\"" "$work/spec-bench.jsonl"
done > "$work/spec-bench-10.jsonl"
measure spec-bench-eagle-k2 --head checkpoints/koala-mini-eagle-k2 --prompts "$work/spec-bench-10.jsonl" --dtype fp32

all_undisturbed || { echo "what was measured is in $work" >&2; exit 1; }
rm -rf docs/results/heads
mkdir -p docs/results/heads
cp "$work"/*.json docs/results/heads/
dotnet src/Koala.Benchmarks/bin/Release/net10.0/koala-benchmarks.dll report docs/results docs/measurements.md
