"""transformers and torch on the shapes of gpu.py, which runs this: `generate`, and a training step.

Qwen2ForCausalLM with random weights and SDPA. The figures go to `--json`; gpu.py reads them.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

WARM = 2
"""Calls before those that count."""


def main() -> None:
    """Run one part."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--part", choices=PARTS, required=True)
    arguments.add_argument("--exact", required=True, help="the Shape of gpu.py, as JSON")
    arguments.add_argument("--repeats", type=int, required=True)
    arguments.add_argument("--device", choices=("gpu", "cpu"), required=True)
    arguments.add_argument("--json", required=True)
    given = arguments.parse_args()
    device = torch.device("cuda" if given.device == "gpu" else "cpu")
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    figures = PARTS[given.part](SimpleNamespace(**json.loads(given.exact)), device, given.repeats)
    if device.type == "cuda":
        figures["peak_gib"] = torch.cuda.max_memory_allocated() / 2**30
    Path(given.json).write_text(json.dumps(figures | {"torch": torch.__version__}))


def make_model(shape: Any, device: torch.device, dtype: torch.dtype) -> Qwen2ForCausalLM:
    """Random weights, made where they stay."""
    cfg = Qwen2Config(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=max(shape.train_len, shape.decode_prompt_len + shape.decode_len),
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=0,
        attn_implementation="sdpa",
    )
    with device:
        return Qwen2ForCausalLM(cfg).to(dtype)


def train(shape: Any, device: torch.device, repeats: int) -> dict[str, Any]:
    """Seconds of a training step: gradients summed over micro-batches, clipped, one step of AdamW."""
    model = make_model(shape, device, torch.float32)
    model.train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.01, fused=True)
    rows = shape.train_prompts * shape.group
    token_BT = torch.randint(3, shape.vocab, (rows, shape.train_len), device=device)
    parts = token_BT.split(shape.torch_micro_batch)

    def call() -> None:
        for part in parts:
            with torch.autocast(device.type, torch.bfloat16):
                loss = model(input_ids=part, labels=part, use_cache=False).loss / len(parts)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return timed(call, device, repeats) | {"rows": rows, "tokens": rows * shape.train_len}


def decode(shape: Any, device: torch.device, repeats: int) -> dict[str, Any]:
    """Seconds of `generate` on prompts repeated for their group, the prefill included."""
    model = make_model(shape, device, torch.bfloat16).eval()
    prompt_PS = torch.randint(3, shape.vocab, (shape.decode_prompts, shape.decode_prompt_len), device=device)
    rows = shape.decode_prompts * shape.group
    drawn = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "num_return_sequences": shape.group}

    def call() -> None:
        with torch.inference_mode():
            out = model.generate(
                prompt_PS, attention_mask=torch.ones_like(prompt_PS), max_new_tokens=shape.decode_len, **drawn
            )
        assert out.shape == (rows, shape.decode_prompt_len + shape.decode_len), out.shape

    return timed(call, device, repeats) | {"rows": rows, "tokens": rows * shape.decode_len}


PARTS = {"torch-train": train, "torch-decode": decode}


def timed(call: Callable[[], None], device: torch.device, repeats: int) -> dict[str, Any]:
    """Median seconds of `call`, waited for."""
    taken = []
    for _ in range(WARM + repeats):
        begun = time.perf_counter()
        call()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return {"seconds": statistics.median(taken[WARM:])}


if __name__ == "__main__":
    main()
