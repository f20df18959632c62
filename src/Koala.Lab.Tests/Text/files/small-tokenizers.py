#!/usr/bin/python3
# Makes small-tokenizers.json.gz: three small SentencePiece models, what tokenizer.json files over their pieces say in the forms that
# published models have, and what SentencePiece and Hugging Face's tokenizers make of texts. Needs Debian's python3-sentencepiece and the
# .NET SDK (docs/tokenizers.cs records the second). Run it in the repository root.
import base64, gzip, io, json, os, subprocess, tempfile
import sentencepiece as spm

HERE = os.path.dirname(os.path.abspath(__file__))
DEFINED = ["<turn>", "▁▁"]
TEXTS = 42   # of those in docs/tokenizers.cs, without the longest
# What the third model replaces: sequences, also one that begins with another, a space, and characters that vanish.
MAP = {"ﬁ": "fi", "½": "1⁄2", "²": "2", "\u3000": " ", "\u00a0": " ", "\u200b": "", "\u0001": "", "ｆ": "f", "ｕ": "u", "ｌ": "l",
       "Ⅷ": "VIII", "㎏": "kg", "n\u0303": "ñ", "e\u0301": "é", "\r": "", "\r\n": " ", "👩": "w", "👩\u200d": "W", "𝔘": "U",
       "…": "...", "नमस्": "X"}


def train(kind, **options):
    texts = [p for line in open("data/mt-bench.jsonl") for p in json.loads(line)["turns"]]
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=model, model_type=kind, vocab_size=420, byte_fallback=True, split_digits=True,
        character_coverage=0.995, user_defined_symbols=DEFINED, num_threads=1,
        minloglevel=2, **{"normalization_rule_name": "identity", **options})
    return model.getvalue()


def train_mapped():
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        for source, to in MAP.items():
            rules.write("\t".join(" ".join(f"{ord(c):X}" for c in text) for text in (source, to)) + "\n")
        rules.flush()
        return train("unigram", normalization_rule_name="user_defined", normalization_rule_tsv=rules.name, remove_extra_whitespaces=True)


def character_map(model):
    """The value of normalizer_spec.precompiled_charsmap in the protocol buffer: field 2 of field 3."""
    def fields(data):
        at = 0

        def number():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at, value, shift = at + 1, value | (byte & 127) << shift, shift + 7
                if byte < 128:
                    return value
        while at < len(data):
            tag = number()
            if tag & 7 == 0:
                number()
            elif tag & 7 == 5:
                at += 4
            else:
                length = number()
                at += length
                yield tag >> 3, data[at - length:at]
    return dict(fields(dict(fields(model))[3]))[2]


def pieces(model):
    model = spm.SentencePieceProcessor(model_proto=model)
    ids = range(model.vocab_size())
    return [(model.id_to_piece(i), model.get_score(i), is_normal(model, i)) for i in ids]


def is_normal(model, i):
    return not (model.is_control(i) or model.is_byte(i) or model.is_unknown(i) or model.is_unused(i)) and model.id_to_piece(i) not in DEFINED


def tokenizer_json(vocabulary, unigram):
    ids = {piece: i for i, (piece, _, _) in enumerate(vocabulary)}
    normal = {piece: score for piece, score, normal in vocabulary if normal}
    merges = [(normal[p], p[:i], p[i:]) for p in normal for i in range(1, len(p)) if p[:i] in normal and p[i:] in normal]
    merges.sort(key=lambda merge: -merge[0])
    model = {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": ids,
             "merges": [f"{left} {right}" for _, left, right in merges]}
    if unigram:
        model = {"type": "Unigram", "unk_id": 0, "byte_fallback": True, "vocab": [[p, s] for p, s, _ in vocabulary]}
    return {"version": "1.0", "truncation": None, "padding": None, "post_processor": None, "model": model, "added_tokens": [
        {"id": ids[p], "content": p, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for p in ("<unk>", "<s>", "</s>")]}


REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
RESTORE = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
STRIP = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
LLAMA = {"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, REPLACE]}, "pre_tokenizer": None,
         "decoder": {"type": "Sequence", "decoders": RESTORE + [STRIP]}}


def metaspace(**options):
    step = {"type": "Metaspace", "replacement": "▁", **options}
    return {"normalizer": None, "pre_tokenizer": step, "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, step]}}


def flags(**options):
    token = {"id": 600, "content": "brown", "single_word": False, "lstrip": False, "rstrip": False, "normalized": True, "special": False}
    return {**LLAMA, "added": [{**token, **options}]}


KINDS = {
    "llama": LLAMA,
    "gemma": {"normalizer": REPLACE, "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious",
                                                       "invert": False}, "decoder": {"type": "Sequence", "decoders": RESTORE}},
    "metaspace-first": metaspace(prepend_scheme="first", split=False),
    "metaspace-always": metaspace(prepend_scheme="always", split=True),
    "metaspace-never": metaspace(prepend_scheme="never", split=True),
    "ignore-merges": {**metaspace(prepend_scheme="always", split=True), "model": {"ignore_merges": True}},
    "no-fallback": {**LLAMA, "model": {"byte_fallback": False}},
    "unigram": metaspace(prepend_scheme="always", split=True),
    "lstrip": flags(lstrip=True), "rstrip": flags(rstrip=True), "single-word": flags(single_word=True, normalized=False),
    "plain": flags(normalized=False),
    "nfkc": {**metaspace(prepend_scheme="always", split=True), "normalizer": {"type": "NFKC"}},
    "precompiled": metaspace(prepend_scheme="always", split=True),
}


def main():
    models = {"bpe": train("bpe", remove_extra_whitespaces=False), "unigram": train("unigram", remove_extra_whitespaces=True),
              "mapped": train_mapped()}
    KINDS["precompiled"]["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(
        character_map(models["mapped"])).decode()}
    files = {kind: tokenizer_json(pieces(models[kind]), kind != "bpe") for kind in models}
    with tempfile.TemporaryDirectory() as folder:
        for name, patch in KINDS.items():
            file = json.loads(json.dumps(files["unigram" if name in ("unigram", "precompiled") else "bpe"]))
            file.update({key: value for key, value in patch.items() if key not in ("model", "added")})
            file["model"].update(patch.get("model", {}))
            file["added_tokens"] += patch.get("added", [])
            os.makedirs(f"{folder}/{name}/package/models")
            json.dump(file, open(f"{folder}/{name}/package/models/tokenizer.json", "w"))
        subprocess.run(["dotnet", "run", "docs/tokenizers.cs", folder, f"{folder}/out.json"], check=True)
        recorded = json.load(open(f"{folder}/out.json"))
    # The first ones are texts of their own; the others are taken from all over the list.
    texts = [e["text"] for e in recorded["llama"]]
    short = [i for i, text in enumerate(texts) if len(text) < 60]
    chosen = short[:34] + short[34::5][:TEXTS - 34]
    extra = {}
    for name, model in models.items():
        processor = spm.SentencePieceProcessor(model_proto=model)
        decoded = [processor.decode(processor.encode(texts[i])) for i in chosen]
        extra[name] = {"model": base64.b64encode(model).decode(), "ids": [processor.encode(texts[i]) for i in chosen],
                       "decoded": [None if text == texts[i] else text for text, i in zip(decoded, chosen)]}
    # A decoded text that is the text is null.
    result = {"texts": [texts[i] for i in chosen], "models": extra, "kinds": {
        name: {**patch, "ids": [recorded[name][i]["ids"] for i in chosen], "decoded": [
            None if recorded[name][i]["decoded"] == texts[i] else recorded[name][i]["decoded"] for i in chosen]}
        for name, patch in KINDS.items()}}
    data = json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()
    with open(os.path.join(HERE, "small-tokenizers.json.gz"), "wb") as file:
        file.write(gzip.compress(data, 9, mtime=0))


main()
