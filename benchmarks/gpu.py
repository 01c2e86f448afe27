"""Policy update, reward model update and decoding at Qwen2.5-1.5B's shapes on a GPU; transformers and torch beside.

    python benchmarks/gpu.py [--json OUT]                       on a GPU; minutes
    python benchmarks/gpu.py --device cpu --tiny                the same program on a CPU: does every line work?

Needs JAX's CUDA build: `pip install '.[cuda12]'`, for the package's plain install brings a JAX that sees CPUs alone.
JAX_PLATFORMS is set to cuda (or cpu) unless you set it, so that a JAX without a GPU is an error and not a slow run.
`--torch-python` is the Python that has torch and transformers, such as .bench/trl/bin/python after `make bench`; one
environment for both is well if their CUDA libraries agree.

Random weights, bfloat16 compute over float32 weights and AdamW moments, on one device. Each part runs in a process of
its own, so that each has the memory alone and its peak is its own:

    policy        GRPO update on rows of 4,096 tokens, 128 of them prompt, recomputing each block in the backward pass
    reward        reward model update on pairs
    decode        256 rows, 8 of each prompt, temperature 1, no top-k, no top-p
    torch-train   transformers' Qwen2ForCausalLM: next-token loss on the same rows, autocast, gradient checkpointing,
                  SDPA, fused AdamW
    torch-decode  its `generate` in bfloat16 as it comes, on the same prompts

MFU is the model's arithmetic (6 FLOPs a weight and token, and causal attention; nothing for what is recomputed) by the
device's published dense bfloat16 peak. The decode roofline is the time to read, for each token of the rows, the weights
in bfloat16 once, each prompt's keys and values once and each row's own once, by the published bandwidth. Peak memory is
what the allocator saw, the making of the weights included.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from gpu_shapes import SHAPES, Shape

HERE = Path(__file__).parent

DEVICES = {
    "H200": (989, 4800),
    "H100 PCIe": (756, 2039),
    "H100 NVL": (835, 3938),
    "H100": (989, 3350),
    "B200": (2250, 8000),
    "A100-SXM4-80GB": (312, 2039),
    "A100 80GB PCIe": (312, 1935),
    "A100": (312, 1555),
    "A10G": (70, 600),
    "A10": (125, 600),
    "L40S": (362, 864),
    "L40": (181, 864),
    "L4": (121, 300),
    "RTX 6000 Ada": (364, 960),
    "RTX A6000": (155, 768),
    "RTX 5090": (209, 1792),
    "RTX 4090": (165, 1008),
    "RTX 3090": (71, 936),
}
"""Part of a device's name -> TFLOP/s in bfloat16, dense, summed in float32, and GB/s of its memory; NVIDIA's data
sheets. The first part that occurs counts."""

GOALS = {
    "policy_mfu": 0.5,
    "decode_roofline": 0.6,
    "decode_by_torch": 3.0,
    "policy_by_torch": 1.5,
}
"""The least to reach, at the shapes of the 1.5B."""

ALL_PARTS = ("policy", "reward", "decode", "torch-train", "torch-decode")

Figures = dict[str, Any]


def main() -> None:
    """Run the parts one after the other, print the table, write `--json`. Exit code 1 if a part failed."""
    given = arguments()
    shape = SHAPES[given.shape]
    sizes = {name: getattr(given, name) for name in ("micro_batch", "torch_micro_batch") if getattr(given, name)}
    shape = replace(shape, **sizes)
    try:
        device = run("device", given, shape)["device"]
    except Failed as error:
        hint = "a GPU needs `pip install '.[cuda12]'`; without one, try --device cpu --tiny"
        raise SystemExit(f"error: JAX does not start on the {given.device} ({hint}): {error}") from None
    try:
        peaks = find_peaks(device, given)
    except Failed as error:
        raise SystemExit(f"error: {error}") from None
    parts, failures = {}, {}
    for part in given.only:
        print(f"{part} ...", file=sys.stderr, flush=True)
        try:
            parts[part] = run(part, given, shape)
        except Failed as error:
            failures[part] = str(error)
    figures = assess(parts, shape, peaks)
    show(figures, f"{given.shape} on {device}", GOALS if given.shape == "qwen2.5-1.5b" else {})
    if given.json:
        out = {"device": device, "shape": asdict(shape), "peaks": peaks, "parts": parts, "figures": figures}
        Path(given.json).write_text(json.dumps(out | {"failures": failures}, indent=1) + "\n")
    for part, message in failures.items():
        print(f"error: {part}: {message}", file=sys.stderr)
    raise SystemExit(bool(failures))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu")
    parser.add_argument("--shape", choices=SHAPES, default="qwen2.5-1.5b")
    parser.add_argument("--tiny", action="store_const", dest="shape", const="tiny", help="the same as --shape tiny")
    parser.add_argument("--only", nargs="+", choices=ALL_PARTS, default=list(ALL_PARTS), help="which parts")
    parser.add_argument("--repeats", type=int, default=5, help="calls counted, of which the median is taken")
    parser.add_argument("--micro-batch", type=int, default=0, help="rows in one pass of the policy update")
    parser.add_argument("--torch-micro-batch", type=int, default=0, help="and of torch's")
    parser.add_argument("--torch-python", default=sys.executable, help="the Python that has torch and transformers")
    parser.add_argument("--peak-tflops", type=float, default=0.0, help="of a device that is not in the table")
    parser.add_argument("--bandwidth-gb", type=float, default=0.0, help="GB/s, likewise")
    parser.add_argument("--json", default="")
    given = parser.parse_args()
    rows = SHAPES[given.shape].train_prompts * SHAPES[given.shape].group
    for name in ("micro_batch", "torch_micro_batch"):
        size = getattr(given, name)
        if size < 0 or (size and rows % size):
            parser.error(f"--{name.replace('_', '-')} {size}: must divide the {rows} rows of the update")
    if given.repeats < 1:
        parser.error(f"--repeats {given.repeats}: must be at least 1")
    if not Path(given.json).parent.is_dir():
        parser.error(f"--json {given.json}: no such folder")
    return given


class Failed(Exception):
    """A part that did not run; the message says why, or what to do."""


def find_peaks(device: str, given: argparse.Namespace) -> dict[str, float]:
    """Published peaks. A CPU has none, and then the shares are left out; an unknown GPU needs the flags."""
    known = next((peaks for name, peaks in DEVICES.items() if name.lower() in device.lower()), (0.0, 0.0))
    peaks = {"tflops": given.peak_tflops or known[0], "bandwidth_gb": given.bandwidth_gb or known[1]}
    if given.device == "gpu" and not all(peaks.values()):
        raise Failed(
            f"device {device!r} is not among {', '.join(DEVICES)}: give its published peaks with --peak-tflops (dense "
            "bfloat16) and --bandwidth-gb"
        )
    return peaks


def run(part: str, given: argparse.Namespace, shape: Shape) -> Figures:
    """Run a part in a process of its own; its figures. Raises Failed with the end of its output."""
    torch = part.startswith("torch")
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    environment.setdefault("JAX_PLATFORMS", "cuda" if given.device == "gpu" else "cpu")
    environment.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.95")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "figures.json")
        script = HERE / ("peers/with_torch.py" if torch else "gpu_ours.py")
        command = [given.torch_python if torch else sys.executable, script, "--part", part, "--json", out]
        command += ["--exact", json.dumps(asdict(shape)), "--repeats", str(given.repeats)]
        command += ["--device", given.device] if torch else []
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        if done.returncode:
            end = "\n".join(done.stdout.splitlines()[-20:])
            raise Failed(f"exit code {done.returncode}; its last lines:\n{end}")
        return json.loads(out.read_text())


def assess(parts: dict[str, Figures], shape: Shape, peaks: dict[str, float]) -> dict[str, float]:
    """Rates, shares of the device's peaks, and ratios to torch, as far as the parts ran and the peaks are known."""
    figures: dict[str, float] = {}
    rows = shape.train_prompts * shape.group
    work = {
        "policy": shape.train_flops(rows, shape.train_len, head=True),
        "reward": shape.train_flops(2 * shape.pairs, shape.pair_len, head=False),
        "torch-train": shape.train_flops(rows, shape.train_len, head=True),
    }
    for part, taken in parts.items():
        name = part.replace("-", "_")
        seconds = taken["seconds"]
        unit = "rows" if part == "reward" else "tokens"
        figures[f"{name}_{unit}_per_s"] = taken[unit] / seconds
        if part in work and peaks["tflops"]:
            figures[f"{name}_mfu"] = work[part] / seconds / (peaks["tflops"] * 1e12)
        if part not in work and peaks["bandwidth_gb"]:
            figures[f"{name}_roofline"] = shape.decode_bytes() / seconds / (peaks["bandwidth_gb"] * 1e9)
        figures |= {f"{name}_{key}": taken[key] for key in ("compile_s", "peak_gib") if key in taken}
    for ours, torch in (("policy", "torch_train"), ("decode", "torch_decode")):
        if f"{ours}_tokens_per_s" in figures and f"{torch}_tokens_per_s" in figures:
            figures[f"{ours}_by_torch"] = figures[f"{ours}_tokens_per_s"] / figures[f"{torch}_tokens_per_s"]
    return figures


def show(figures: dict[str, float], title: str, goals: dict[str, float]) -> None:
    """The table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for column in ("figure", "value", "to reach"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for name, value in figures.items():
        goal = goals.get(name)
        mark = "" if goal is None else f">= {goal} " + ("[green]yes[/]" if value >= goal else "[red]no[/]")
        table.add_row(name, f"{value:,.0f}" if value >= 1000 else f"{value:.3g}", mark)
    Console().print(table)


if __name__ == "__main__":
    main()
