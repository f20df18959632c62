#!/usr/bin/env bash
# Runs the tests of which `dotnet test` takes a sample with all of their prompts and draws: every shipped head with every tree and side by
# side on a hundred prompts, every tree and batch on all of theirs, 200,000 draws of each scheme. About ten minutes on two cores.
# Further arguments go to the test program, for example: docs/thorough.sh --filter-class '*.ShippedHeadsTests'
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

export KOALA_THOROUGH=1
select=(--filter-trait Category=Sampled)
started=$SECONDS
dotnet build src/Koala.Lab.Tests --verbosity quiet
status=0
dotnet test --project src/Koala.Lab.Tests --no-build --no-ansi --no-progress --output Detailed -- "${select[@]}" "$@" || status=$?
echo "thorough: the tests with the trait ${select[1]} on all of their prompts, $((SECONDS - started)) s, exit code $status"
exit "$status"
