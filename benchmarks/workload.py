"""The step that ours, Tunix and TRL run alike, and the clock that reads all three.

Imported in each framework's own environment, before the framework: it needs `tokenizers` and nothing else.

`SMALL`: 3.04 M random weights (Qwen2: 4 layers, width 256, 4 heads on 2, SwiGLU 688, vocabulary 512, tied), 8 prompts
of 32 tokens x 8 samples of exactly 64 tokens, k3 KL of weight 1e-3 against a reference model.

`real(FOLDER)`: weights, tokenizer and chat template of a Hugging Face folder, 4 word problems of up to 128 tokens with
the template x 8 samples of exactly 96 tokens, no reference model.

Both: float32, AdamW (1e-6, weight decay .01, clipped at 1), one update a batch, a trivial reward in Python on the
decoded text.

The figures, medians over the counted steps; each phase is waited for, which a real run does not do:

    step_cpu_s                 CPU-seconds of a step: the whole process, all its threads and the children it waited for
    step_s                     wall of the same
    rollout_cpu_s              of it sampling
    reference_cpu_s            of it the reference's log-probs, where there is a reference
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

LEARNING_RATE, WARM_UP, WEIGHT_DECAY, GRAD_CLIP, CLIP = 1e-6, 10, 0.01, 1.0, 0.2
PAD, EOS, UNKNOWN = 0, 1, 2
"""Of `make_tokenizer`."""


class Shape(NamedTuple):
    """Qwen2 with random weights, embeddings tied."""

    vocab: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    hidden: int
    rope_theta: float


@dataclass(frozen=True)
class Workload:
    """What every framework does in a step."""

    model: Shape | str
    """Shapes for random weights and a word for each token, or a Hugging Face folder."""
    prompts: int
    group: int
    """Samples of each prompt."""
    prompt_len: int
    """Tokens of a prompt; of a folder's model, the most of them."""
    completion_len: int
    """Tokens of a sample: none ends before."""
    kl_weight: float
    """0: no reference model."""
    peer_rows: int
    """Completions in a peer's micro-batch."""
    warm: int
    """Steps after the one that compiles, before those that count."""

    @property
    def rows(self) -> int:
        """Completions of a step."""
        return self.prompts * self.group

    @property
    def phases(self) -> tuple[str, ...]:
        """What `Clock` times of a step."""
        return ("rollout", "reference", "update") if self.kl_weight else ("rollout", "update")

    def steps_in_all(self, counted: int) -> int:
        """Steps that a script runs: one that compiles, and for figures of a step the warm and the counted ones."""
        return 1 + (self.warm + counted if counted else 0)

    def texts(self, steps: int) -> list[list[str]]:
        """The prompts of each step: 32 words, each a token of its own; for a folder's model, what a user asks."""
        rng = random.Random(0)
        prompt = word_problem if isinstance(self.model, str) else self._words
        return [[prompt(rng) for _ in range(self.prompts)] for _ in range(steps)]

    def reward(self, text: str) -> float:
        """The share of even words, or of words of even length: cheap, and different within a group."""
        even = lambda word: len(word) % 2 == 0 if isinstance(self.model, str) else word[-1] in "02468"  # noqa: E731
        return sum(even(word) for word in text.split()) / self.completion_len

    def _words(self, rng: random.Random) -> str:
        assert isinstance(self.model, Shape)
        return " ".join(f"w{rng.randrange(UNKNOWN + 1, self.model.vocab)}" for _ in range(self.prompt_len))


SHAPE = Shape(vocab=512, width=256, layers=4, heads=4, kv_heads=2, hidden=688, rope_theta=1e6)
SMALL = Workload(
    SHAPE,
    prompts=8,
    group=8,
    prompt_len=32,
    completion_len=64,
    kl_weight=1e-3,
    peer_rows=64,
    warm=2,
)


def real(folder: str) -> Workload:
    """A real model at a size that two cores can bear. A peer's micro-batch is ours: the batch whole would take three
    times the memory."""
    return Workload(folder, prompts=4, group=8, prompt_len=128, completion_len=96, kl_weight=0.0, peer_rows=8, warm=0)


def word_problem(rng: random.Random) -> str:
    """A question of two operations with an instruction, 60 to 100 tokens."""
    one, other = rng.sample(("Ann", "Ben", "Carla", "David", "Emma", "Felix", "Grace", "Hugo"), 2)
    thing = rng.choice(("apples", "books", "candles", "marbles", "pencils", "stamps", "stickers", "tickets"))
    first, boxes, each = rng.randint(20, 99), rng.randint(3, 9), rng.randint(4, 12)
    beside = (
        f"It is a rainy week, and {other} has nothing else to do. ",
        f"A neighbour tells them that {boxes + each} years ago she did the same. ",
    )
    said = "".join(rng.sample(beside, rng.randint(0, 2)))
    then = rng.choice(
        (
            f"On Monday {one} buys {boxes} boxes with {each} {thing} in each of them. How many {thing} does {one} have",
            f"{other} brings {boxes} bags, and in every bag there are {each} {thing}. How many {thing} do they have",
            f"Each of {boxes} friends brings {each} more, and {one} counts them all. How many {thing} are there",
        )
    )
    return (
        f"{one} and {other} collect {thing}. {said}At first they have {first} {thing} on a shelf. {then} now?\n"
        "Please reason step by step, and put your final answer within \\boxed{}."
    )


def arguments(doc: str | None) -> argparse.Namespace:
    """The command line of a framework's script, and its Workload as `work`. A cache folder goes to JAX by way of the
    environment."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10, help="steps counted; 0: only one that compiles, for start-up")
    parser.add_argument("--model", default="", help="Hugging Face folder of a chat model; empty: small random weights")
    parser.add_argument("--cache", default="", help="folder of JAX's compiled programs; empty: compile anew")
    parser.add_argument("--json", default="", help="file for the figures")
    given = parser.parse_args()
    if given.steps < 0:
        parser.error(f"--steps {given.steps}: must not be negative")
    if given.cache:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = given.cache
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    given.work = real(given.model) if given.model else SMALL
    return given


def make_tokenizer(shape: Shape) -> Any:
    """A `tokenizers.Tokenizer` with a word for each id of the random model."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<pad>": PAD, "<eos>": EOS, "<unk>": UNKNOWN} | {f"w{i}": i for i in range(UNKNOWN + 1, shape.vocab)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def cpu_seconds() -> float:
    """CPU-seconds so far of this process, all its threads, and the children it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Clock:
    """Seconds of every step and of the phases in it."""

    def __init__(self, work: Workload) -> None:
        """Made once the framework is imported: `import_s` ends here."""
        self.import_s = time.perf_counter() - BEGUN
        self.work = work
        self.cpu: dict[str, list[float]] = {"step": [], **{name: [] for name in work.phases}}
        self.wall: list[float] = []
        self.start: dict[str, float] = {}
        self.mark = (0.0, 0.0)

    def begin(self) -> None:
        """The first step begins."""
        self.mark = (time.perf_counter(), cpu_seconds())

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """What runs within, and is waited for there, is this phase of the step; of a phase that the workload does not
        have, of the step alone."""
        begun = cpu_seconds()
        yield
        if name in self.cpu:
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
        steps = self.work.steps_in_all(given.steps)
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
        first = 1 + self.work.warm
        median = {name: statistics.median(taken[first:]) for name, taken in self.cpu.items()}
        step_s = statistics.median(self.wall[first:])
        return {
            "step_s": step_s,
            **{f"{name}_cpu_s": taken for name, taken in median.items()},
            "rollout_tokens_per_cpu_s": self.work.rows * self.work.completion_len / median["rollout"],
            "compile_s": self.wall[0] - step_s,
            "compile_cpu_s": self.cpu["step"][0] - median["step"],
        }
