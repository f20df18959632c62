#!/usr/bin/env bash
# Measures the kernel with Jupyter's own client (Debian: python3-jupyter-client), as another program sees it, and
# writes docs/results/kernel.json, or the file given as the argument. Takes about a minute on two cores. Nothing else
# should run meanwhile.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
out=$(realpath -m "${1:-docs/results/kernel.json}")
JUPYTER_DATA_DIR=$(mktemp -d)
export JUPYTER_DATA_DIR JUPYTER_RUNTIME_DIR=$JUPYTER_DATA_DIR/runtime
trap 'rm -rf "$JUPYTER_DATA_DIR"' EXIT
./koala kernel install >/dev/null
./koala doctor --json >"$JUPYTER_DATA_DIR/doctor.json"

/usr/bin/python3 - "$JUPYTER_DATA_DIR/doctor.json" "$out" <<'PYTHON'
import json, os, re, statistics, sys, time
from queue import Empty
from jupyter_client import KernelManager

KERNELS, TRIVIAL, CELLS, LINES = 5, 50, 300, 1000

class Kernel:
    def __enter__(self):
        start = time.perf_counter()
        self.manager = KernelManager(kernel_name="koala-csharp")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.kernel_info()
        self.client.get_shell_msg(timeout=60)
        self.ready = time.perf_counter() - start
        # Messages that the kernel publishes before the subscription is in place are lost.
        heard = False
        while not heard:
            self.client.kernel_info()
            self.client.get_shell_msg(timeout=60)
            try:
                self.client.get_iopub_msg(timeout=0.2)
                heard = True
            except Empty:
                pass
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def run(self, code):
        """Returns the seconds from sending a cell to its end, and what the cell printed."""
        printed = []
        start = time.perf_counter()
        keep = lambda message: printed.append(message["content"].get("text", ""))
        reply = self.client.execute_interactive(code, timeout=120, output_hook=keep)
        seconds = time.perf_counter() - start
        assert reply["content"]["status"] == "ok", reply
        return seconds, "".join(printed)

    def megabytes(self):
        with open(f"/proc/{self.manager.provisioner.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) / 1024

ready, first, trivial, lines = [], [], [], []
for _ in range(KERNELS):
    with Kernel() as kernel:
        ready.append(kernel.ready)
        first.append(kernel.run("var x = 1;\nx")[0])
        trivial.append(statistics.median(kernel.run("x + 1")[0] for _ in range(TRIVIAL)))
        seconds, text = kernel.run(f"for (var i = 0; i < {LINES}; i++) Console.WriteLine(i);")
        assert text == "".join(f"{i}\n" for i in range(LINES))
        lines.append(seconds)

with Kernel() as kernel:
    for i in range(20):
        kernel.run(f"var w{i} = {i};\nw{i}")
    before = kernel.megabytes()
    for i in range(CELLS):
        kernel.run(f"var v{i} = {i};\nv{i}")
    after = kernel.megabytes()

milliseconds = lambda values: round(1000 * statistics.median(values), 1)
with open(sys.argv[1]) as file:
    doctor = json.load(file)
result = {
    "koala": doctor["koala"], "machine": doctor["machine"], "kernels": KERNELS,
    "readyMs": milliseconds(ready), "firstCellMs": milliseconds(first), "trivialCellMs": milliseconds(trivial),
    "thousandLinesMs": milliseconds(lines),
    "cells": CELLS, "megabytesACell": round((after - before) / CELLS, 3), "megabytesAfter": round(after, 1),
}
with open(sys.argv[2] + ".new", "w") as file:
    json.dump(result, file, indent=2)
    file.write("\n")
os.replace(sys.argv[2] + ".new", sys.argv[2])
print(json.dumps(result, indent=2))
PYTHON
