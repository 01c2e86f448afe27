"""The verifier beside raw Math-Verify 0.9: verdicts per second and core, latency, and who is right.

    python benchmarks/verifier.py                     a generated batch, such as a policy writes
    python benchmarks/verifier.py FILE.jsonl ...      and labelled files: rows {"gold", "completion", "expected"}
    python benchmarks/verifier.py --pool              through the worker processes, as training asks

The generated batch: 2,000 references (integers, fractions, radicals, expressions, tuples, sets, intervals, equations,
matrices, words, units), each with a worked completion, half of them stating an equal answer in another form, half a
near miss. Files are read with `extract="auto"`; where a row names a `tier`, so does the table.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from cooper_jax.config import Extraction, Verifier
from cooper_jax.host.verifier.mathematics import symbolic
from cooper_jax.host.verifier.pool import Job, Pool
from cooper_jax.host.verifier.rule import verify


class Row(NamedTuple):
    """A pair with its label."""

    gold: str
    completion: str
    expected: bool


Grade = Callable[[Row], str]


def generated(seed: int = 0) -> Iterator[Row]:
    """Pairs without end: an answer, and a completion that states it in another form or misses it."""
    rng = Random(seed)
    while True:
        gold, same, miss = rng.choice(_KINDS)(rng)
        right = rng.random() < 0.5
        steps = " ".join(
            f"Step {i}: ${rng.randint(2, 99)}x + {rng.randint(2, 99)} = {rng.randint(2, 99)}$." for i in range(8)
        )
        yield Row(
            gold, f"<think>{steps}</think>\n{steps}\nHence the answer is $\\boxed{{{same if right else miss}}}$.", right
        )


def _integer(r: Random) -> tuple[str, str, str]:
    n = r.randint(-2000, 20000)
    return (
        str(n),
        r.choice([f"{n:,}", f"x = {n}", f"{n}.0", f"{n}\\text{{ units}}"]),
        str(n + r.choice([-10, -1, 1, 2])),
    )


def _fraction(r: Random) -> tuple[str, str, str]:
    a, b = r.randint(1, 40), r.choice([2, 4, 5, 8, 20, 3, 7])
    return (
        rf"\frac{{{a}}}{{{b}}}",
        r.choice([f"{a}/{b}", rf"\dfrac{{{2 * a}}}{{{2 * b}}}"]),
        rf"\frac{{{a + 1}}}{{{b}}}",
    )


def _radical(r: Random) -> tuple[str, str, str]:
    a, b = r.randint(2, 12), r.choice([2, 3, 5, 6, 7])
    return rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * b}}}", rf"{a + 1}\sqrt{{{b}}}"


def _circle(r: Random) -> tuple[str, str, str]:
    a, b = r.randint(1, 30), r.choice([2, 3, 4, 6])
    return rf"\frac{{{a}\pi}}{{{b}}}", rf"\frac{{{a}}}{{{b}}}\pi", rf"\frac{{{a}\pi}}{{{b + 1}}}"


def _polynomial(r: Random) -> tuple[str, str, str]:
    a, b = r.randint(1, 9), r.randint(1, 9)
    return f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{b})", f"(x+{a})(x-{b})"


def _tuple(r: Random) -> tuple[str, str, str]:
    a, b = r.randint(-9, 9), r.randint(10, 30)
    return f"({a}, {b})", rf"\left({a},{b}\right)", f"({b}, {a})"


def _set(r: Random) -> tuple[str, str, str]:
    a, b, c = r.sample(range(-20, 20), 3)
    return f"{a}, {b}, {c}", rf"\{{{c}, {a}, {b}\}}", f"{a}, {b}"


def _interval(r: Random) -> tuple[str, str, str]:
    a, b = r.randint(-9, 0), r.randint(1, 9)
    return f"[{a}, {b})", rf"{a} \le x < {b}", f"[{a}, {b}]"


def _equation(r: Random) -> tuple[str, str, str]:
    a, b = r.randint(2, 9), r.randint(1, 9)
    return f"y = {a}x + {b}", f"{a}x - y + {b} = 0", f"y = {a}x - {b}"


def _matrix(r: Random) -> tuple[str, str, str]:
    a, b, c, d = (r.randint(-9, 9) for _ in range(4))

    def form(kind: str, *x: int) -> str:
        return rf"\begin{{{kind}}} {x[0]} & {x[1]} \\ {x[2]} & {x[3]} \end{{{kind}}}"

    return form("pmatrix", a, b, c, d), form("bmatrix", a, b, c, d), form("pmatrix", a, b, c, d + 1)


def _word(r: Random) -> tuple[str, str, str]:
    gold, miss = r.sample(["even", "odd", "ellipse", "Tuesday", "prime"], 2)
    return rf"\text{{{gold}}}", rf"\text{{{gold.capitalize()}}}", rf"\text{{{miss}}}"


def _unit(r: Random) -> tuple[str, str, str]:
    n = r.randint(2, 90)
    return (
        rf"{n}\text{{ cm}}",
        r.choice([str(n), f"{n}\\,\\mathrm{{cm}}", rf"{10 * n}\text{{ mm}}"]),
        rf"{n}\text{{ m}}",
    )


_KINDS = (
    [_integer] * 9
    + [_fraction] * 4
    + [_radical, _circle, _polynomial, _tuple, _set, _interval, _equation, _matrix, _word, _unit]
)


def labelled(path: Path) -> dict[str, list[Row]]:
    """Rows of a file by tier. Raises OSError or KeyError for a file that is none."""
    tiers: dict[str, list[Row]] = {}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if isinstance(row.get("expected"), bool):
            tiers.setdefault(row.get("tier", ""), []).append(Row(row["gold"], row["completion"], row["expected"]))
    return tiers


def ours(extract: Extraction) -> Grade:
    """The rule in this process."""
    symbolic.warm()
    return lambda row: verify(row.gold, row.completion, extract=extract).verdict


def math_verify() -> Grade:
    """Math-Verify as its documentation has it."""
    from math_verify import parse
    from math_verify import verify as compare

    def marked(text: str) -> str:
        """Math-Verify reads LaTeX between dollar signs or in a box."""
        return text if re.search(r"\$|boxed|\\[(\[]|\n", text) or len(text) > 100 else f"${text}$"

    def grade(row: Row) -> str:
        return "right" if compare(parse(marked(row.gold)), parse(marked(row.completion))) else "wrong"

    return grade


def measure(table: Table, name: str, who: str, rows: list[Row], grade: Grade) -> None:
    """Grade all rows and add a line to the table."""
    grade(rows[0])
    seconds, verdicts = [], []
    for row in rows:
        begun = time.perf_counter()
        verdicts.append(grade(row))
        seconds.append(time.perf_counter() - begun)
    _line(table, name, who, rows, verdicts, seconds, sum(seconds))


def _line(
    table: Table, name: str, who: str, rows: list[Row], verdicts: list[str], seconds: list[float], total: float
) -> None:
    right = [r.expected for r, v in zip(rows, verdicts, strict=True) if v == "right"]
    positives = sum(r.expected for r in rows)
    table.add_row(
        name,
        who,
        f"{len(rows)}",
        f"{len(rows) / total:,.0f}",
        f"{1000 * np.median(seconds):.2f}",
        f"{1000 * np.percentile(seconds, 99):.1f}",
        f"{sum(right) / positives:.3f}" if positives else "",
        f"{sum(right) / len(right):.4f}" if right else "",
        f"{len(right) - sum(right)}",
        f"{verdicts.count('unknown') / len(rows):.1%}",
    )


def main(args: list[str]) -> None:
    """Print the table."""
    columns = (
        "batch",
        "verifier",
        "pairs",
        "verdicts/s/core",
        "p50 ms",
        "p99 ms",
        "recall",
        "precision",
        "false +",
        "unknown",
    )
    table = Table(*columns)
    batch = list(islice(generated(), 2000))
    measure(table, "generated", "cooper_jax", batch, ours("boxed"))
    if "--pool" in args:
        with Pool(Verifier(workers=1)) as pool:
            pool.submit([Job("1", "1", True)]).result()
            begun = time.perf_counter()
            timed = pool.submit([Job(r.gold, r.completion, True) for r in batch]).timed()
            total = time.perf_counter() - begun
        verdicts, seconds = [t.verdict.verdict for t in timed], [t.seconds for t in timed]
        _line(table, "generated", "cooper_jax, 1 worker", batch, verdicts, seconds, total)
    measure(table, "generated", "Math-Verify", batch, math_verify())
    for path in (Path(a) for a in args if not a.startswith("-")):
        for tier, rows in labelled(path).items():
            measure(table, f"{path.stem} {tier}", "cooper_jax", rows, ours("auto"))
            measure(table, f"{path.stem} {tier}", "Math-Verify", rows, math_verify())
    Console(width=150).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
