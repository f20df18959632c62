#!/usr/bin/env bash
# Runs the notebooks of the course one after the other, stores their outputs in the committed files, and writes the
# minutes of each into the table of notebooks/README.md. Arguments are names of notebooks, such as 05-inference-speedups;
# without any, all run. Nothing else should run meanwhile: a notebook whose measurements were disturbed is named at the
# end, and then the exit code is 1.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
names=("$@")
if [[ $# == 0 ]]; then
    for file in notebooks/*.ipynb; do names+=("$(basename "$file" .ipynb)"); done
fi

# Builds the command, so that no notebook's time includes it.
./koala --version >/dev/null
disturbed=()
for name in "${names[@]}"; do
    start=$(date +%s%N)
    ./koala run "notebooks/$name.ipynb" --output "$work/$name.ipynb" --quiet
    minutes=$(awk "BEGIN { printf \"%.1f\", ($(date +%s%N) - $start) / 6e10 }")
    # A notebook is replaced only when all of it has run.
    cp "$work/$name.ipynb" "notebooks/$name.ipynb"
    sed -i -E "/\($name\.ipynb\)/s/\| *[0-9.-]+ *\|$/| $minutes |/" notebooks/README.md
    ! grep -qE 'machine was busy:|not measured: Koala|other work disturbed' "$work/$name.ipynb" || disturbed+=("$name")
    echo "$name: $minutes minutes, $(stat -c %s "notebooks/$name.ipynb") bytes"
done

processor=$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)
sed -i "s/^Measured with .*/Measured with \`docs\/notebooks.sh\` on $(nproc) cores of an ${processor//\//\\/}./" notebooks/README.md
for name in "${disturbed[@]}"; do echo "$name: the machine was busy, so speeds are missing" >&2; done
[[ ${#disturbed[@]} == 0 ]]
