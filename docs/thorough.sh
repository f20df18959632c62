#!/usr/bin/env bash
# Runs all prompts and draws of the tests that `dotnet test` runs on a sample: every shipped head with every tree, and in
# batches, on a hundred prompts; every other tree and batch on all of its prompts; 200,000 draws of each sampling scheme;
# kernels on 20,000 random shapes, 10,000 rounds whose memory is watched, and 100,000 damaged files of each format that is read.
# Its last part kills training runs 216 times, a sweep on two processes 20 times, and fills the disk of runs at 200 points
# (which needs root).
# The first part takes hours on two cores, most of them for damaged templates. Each part says at its end what it took.
# docs/tokenizers.sh compares tokenizers of published models, which it fetches, with Hugging Face's own library.
# Further arguments go to the test program, for example: docs/thorough.sh --filter-class '*.ShippedHeadsTests'
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

export KOALA_THOROUGH=1
dotnet build src/Koala.Lab.Tests --verbosity quiet
dotnet build src/Koala.Kernel.Tests --verbosity quiet
status=0
for part in 'Koala.Lab.Tests Sampled' 'Koala.Kernel.Tests Sampled' 'Koala.Lab.Tests Disturbed'; do
    started=$SECONDS code=0
    read -r project trait <<<"$part"
    dotnet test --project "src/$project" --no-build --no-ansi --no-progress --output Detailed \
        -- --filter-trait "Category=$trait" "$@" || code=$?
    # The arguments can leave a part without tests (exit code 8).
    ((code == 0 || (code == 8 && $# > 0))) || status=$code
    echo "thorough: the tests of $project with the trait Category=$trait ran completely: $((SECONDS - started)) s, exit code $code"
done
exit "$status"
