"""The step that ours, Tunix and TRL run alike, and the clock that reads all three.

Imported in each framework's own environment, before the framework: it needs `tokenizers` and nothing else.

3.04 M weights (Qwen2: 4 layers, width 256, 4 heads on 2, SwiGLU 688, vocabulary 512, tied), 8 prompts of 32 tokens x 8
samples of exactly 64 tokens, float32, AdamW (1e-6, weight decay .01, clipped at 1), k3 KL of weight 1e-3 against a
reference model, one update a batch, a trivial reward in Python on the decoded text.

The figures, medians over the counted steps; each phase is waited for, which a real run does not do:

    step_cpu_s                 CPU-seconds of a step: the whole process, all its threads and the children it waited for
    step_s                     wall of the same
    rollout_cpu_s              of it sampling
    reference_cpu_s            of it the reference's log-probs
    update_cpu_s               of it loss, gradients and optimizer
    rollout_tokens_per_cpu_s   sampled tokens per CPU-second of `rollout_cpu_s`
    import_s                   wall from the start until the framework is imported
    start_s, start_cpu_s       from the start to the end of the first step: imports, making the models, compiling
    compile_s, compile_cpu_s   the first step less a counted one
    peak_rss_mb                the most memory the process ever held, MiB
    versions, cpus, load_avg   of what and where; load_avg of one minute, at the end
"""

# ruff: noqa: E402

import time

BEGUN = time.perf_counter()

import argparse
import contextlib
import json
import os
import random
import resource
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

VOCAB, WIDTH, LAYERS, HEADS, KV_HEADS, HIDDEN, ROPE_THETA = 512, 256, 4, 4, 2, 688, 1e6
PROMPTS, GROUP, PROMPT_LEN, COMPLETION_LEN = 8, 8, 32, 64
LEARNING_RATE, WARM_UP, WEIGHT_DECAY, GRAD_CLIP, KL_WEIGHT, CLIP = 1e-6, 10, 0.01, 1.0, 1e-3, 0.2
PAD, EOS, UNKNOWN = 0, 1, 2
WARM = 2
"""Steps after the one that compiles, before those that count."""


def arguments(doc: str | None) -> argparse.Namespace:
    """The command line of a framework's script. A cache folder goes to JAX by way of the environment."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10, help="steps counted; 0: only one that compiles, for start-up")
    parser.add_argument("--cache", default="", help="folder of JAX's compiled programs; empty: compile anew")
    parser.add_argument("--json", default="", help="file for the figures")
    given = parser.parse_args()
    if given.steps < 0:
        parser.error(f"--steps {given.steps}: must not be negative")
    if given.cache:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = given.cache
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    return given


def steps_in_all(counted: int) -> int:
    """Steps that a script runs: one that compiles, and for figures of a step the warm and the counted ones."""
    return 1 + (WARM + counted if counted else 0)


def prompts(steps: int) -> list[list[str]]:
    """The prompts of each step: 32 words, each a token of its own."""
    rng = random.Random(0)
    prompt = lambda: " ".join(f"w{rng.randrange(UNKNOWN + 1, VOCAB)}" for _ in range(PROMPT_LEN))  # noqa: E731
    return [[prompt() for _ in range(PROMPTS)] for _ in range(steps)]


def make_tokenizer() -> Any:
    """A `tokenizers.Tokenizer` with a word for each id."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<pad>": PAD, "<eos>": EOS, "<unk>": UNKNOWN} | {f"w{i}": i for i in range(UNKNOWN + 1, VOCAB)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def reward(text: str) -> float:
    """The share of even words: cheap, and different within a group."""
    return sum(word[-1] in "02468" for word in text.split()) / COMPLETION_LEN


def cpu_seconds() -> float:
    """CPU-seconds so far of this process, all its threads, and the children it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Clock:
    """Seconds of every step and of the phases in it."""

    def __init__(self) -> None:
        """Made once the framework is imported: `import_s` ends here."""
        self.import_s = time.perf_counter() - BEGUN
        self.cpu: dict[str, list[float]] = {"step": [], "rollout": [], "reference": [], "update": []}
        self.wall: list[float] = []
        self.start: dict[str, float] = {}
        self.mark = (0.0, 0.0)

    def begin(self) -> None:
        """The first step begins."""
        self.mark = (time.perf_counter(), cpu_seconds())

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What runs within, and is waited for there, is this phase of the step."""
        begun = cpu_seconds()
        yield
        self.cpu[name].append(cpu_seconds() - begun)

    def end_step(self) -> None:
        """A step ends, and the next begins."""
        wall, cpu = time.perf_counter(), cpu_seconds()
        self.wall.append(wall - self.mark[0])
        self.cpu["step"].append(cpu - self.mark[1])
        self.start = self.start or {"start_s": wall - BEGUN, "start_cpu_s": cpu}
        self.mark = (wall, cpu)

    def report(self, given: argparse.Namespace, versions: dict[str, str]) -> None:
        """Print the figures, and write them to `--json`.

        Raises RuntimeError if a phase did not run exactly once a step: then it is not the work that it was taken for.
        """
        steps = steps_in_all(given.steps)
        runs = {name: len(taken) for name, taken in self.cpu.items()}
        if set(runs.values()) != {steps}:
            raise RuntimeError(f"of {steps} steps each phase must run once a step, yet ran {runs}")
        figures: dict[str, Any] = {"import_s": self.import_s, **self.start}
        if given.steps:
            figures |= self._of_a_step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        figures |= {
            "peak_rss_mb": peak / (2**20 if sys.platform == "darwin" else 2**10),
            "versions": versions,
            "cpus": os.cpu_count(),
            "load_avg": os.getloadavg()[0],
        }
        text = json.dumps(figures, indent=1)
        print(text)
        if given.json:
            Path(given.json).write_text(text + "\n")

    def _of_a_step(self) -> dict[str, float]:
        median = {name: statistics.median(taken[1 + WARM :]) for name, taken in self.cpu.items()}
        step_s = statistics.median(self.wall[1 + WARM :])
        return {
            "step_cpu_s": median["step"],
            "step_s": step_s,
            "rollout_cpu_s": median["rollout"],
            "reference_cpu_s": median["reference"],
            "update_cpu_s": median["update"],
            "rollout_tokens_per_cpu_s": PROMPTS * GROUP * COMPLETION_LEN / median["rollout"],
            "compile_s": self.wall[0] - step_s,
            "compile_cpu_s": self.cpu["step"][0] - median["step"],
        }
