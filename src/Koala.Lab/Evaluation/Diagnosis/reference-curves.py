#!/usr/bin/python3
# Makes reference-curves.json from the reports in docs/results: n-alpha of heads of Koala's own, which heads of the same kind are compared
# with. One curve is published: EAGLE's paper gives acceptance after 0, 1 and 4 features of the head's own.
import json, os

HERE = os.path.dirname(os.path.abspath(__file__))
RESULTS = [("koala-mini", "heads/mt-bench-medusa-k1"), ("koala-mini", "heads/mt-bench-medusa-k2"),
           ("SmolLM2-135M", "h100/mt-bench-smollm2-medusa-k1"), ("SmolLM2-135M", "h100/mt-bench-smollm2-medusa-k2"),
           ("koala-mini", "heads/mt-bench-eagle-k1"), ("koala-mini", "heads/mt-bench-eagle-k2"),
           ("SmolLM2-135M", "h200/mt-bench-smollm2-eagle-k1"), ("SmolLM2-135M", "h200/mt-bench-smollm2-eagle-k2"),
           ("SmolLM2-135M", "h200/mt-bench-smollm2-eagle-k3")]
curves = []
for target, name in RESULTS:
    with open(os.path.join(HERE, "..", "..", "..", "..", "docs", "results", name + ".json")) as file:
        report = json.load(file)
    kind, layers = name.split("-")[-2:]
    curves.append({"kind": kind, "layers": int(layers[1:]), "target": target, "source": f"docs/results/{name}.json",
                   "nAlpha": [round(share, 4) for share in report["nAlpha"]]})
curves.append({"kind": "eagle", "layers": 1, "target": "Vicuna 7B, published", "source": "arXiv 2401.15077",
               "nAlpha": [0.79, 0.74, None, None, 0.67]})
with open(os.path.join(HERE, "reference-curves.json"), "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(curve) for curve in curves) + "\n]\n")
