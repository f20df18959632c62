#!/usr/bin/env bash
# Runs the README's first block of commands in a fresh clone in another folder, with an empty package cache and no
# tokenized data. Writes each command, its time, its exit code and its last lines of output to
# docs/results/fresh-clone.txt. Takes about 15 minutes on two cores.
set -uo pipefail
here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone -q "$here" "$work/koala" || exit
export NUGET_PACKAGES=$work/packages XDG_CACHE_HOME=$work/cache
cd "$work/koala" || exit

{
    echo "A fresh clone at $(git rev-parse --short HEAD), an empty package cache, $(nproc) cores," \
        ".NET SDK $(dotnet --version), $(date -u +%F)"
    # The README's first block of commands.
    awk '/^```/ { inside = !inside; if (!inside) exit; next } inside' README.md | while read -r command; do
        echo
        echo "\$ $command"
        start=$(date +%s)
        bash -c "$command" >"$work/output" 2>&1 </dev/null
        code=$?
        echo "[exit code $code after $(($(date +%s) - start)) s; the last lines:]"
        tail -n 14 "$work/output" | sed "s|$work|…|g"
    done
    echo
    outputs=$(find . \( -name bin -o -name obj \) -prune -print0 | xargs -0 du -cm | tail -n 1 | cut -f 1)
    echo "package cache: $(du -sm "$work/packages" | cut -f 1) MB; build outputs: $outputs MB"
} | tee "$here/docs/results/fresh-clone.txt"
