#!/usr/bin/env bash
# Runs all prompts and draws of the tests that `dotnet test` runs on a sample: every shipped head with every tree, and in
# batches, on a hundred prompts; every other tree and batch on all of its prompts; 200,000 draws of each sampling scheme.
# Takes about ten minutes on two cores. Further arguments go to the test program, for example:
# docs/thorough.sh --filter-class '*.ShippedHeadsTests'
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

export KOALA_THOROUGH=1
select=(--filter-trait Category=Sampled)
started=$SECONDS
dotnet build src/Koala.Lab.Tests --verbosity quiet
status=0
dotnet test --project src/Koala.Lab.Tests --no-build --no-ansi --no-progress --output Detailed \
    -- "${select[@]}" "$@" || status=$?
echo "thorough: the tests with the trait ${select[1]} ran on all of their prompts: $((SECONDS - started)) s, exit code $status"
exit "$status"
