"""Hybrid annotation: a second judge beside the rule, labels where both agree, and what became of the rest.

A judge gives opinions; they are kept by content, so that an annotation that was killed goes on where it stopped and
equal rows are judged once.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from cooper_jax import config
from cooper_jax.config import require, visible
from cooper_jax.host import arithmetic
from cooper_jax.host.cache import Cache, content_key
from cooper_jax.host.server import Chat, Server
from cooper_jax.host.text import benchmarks
from cooper_jax.host.text.data import Problem
from cooper_jax.host.text.templates import asked
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict

CHUNK = 1024
"""Rows judged at a time; a kill costs no more than a chunk, and a server's own cache saves most of that."""
EXAMPLES = 3
"""Shown of each cell of the confusion matrix."""
RULE_ALONE = "none, the rule alone"
"""The judge's name where there is none."""
SHOWN = 600
"""Characters of a completion in the report; of a longer one the end."""


class Row(NamedTuple):
    """A completion to be labelled."""

    problem: Problem
    completion: str
    finished: bool = True


class Opinion(NamedTuple):
    """What a judge says of a completion, and in which words."""

    verdict: Literal["right", "wrong", "unknown"]
    reason: str


class Judge(Protocol):
    """A second annotator. `name` identifies it, and with it what its opinions depend on beside the row. `lockstep`: all
    processes ask it together for the same rows, and get the same opinions; else they share the rows."""

    name: str
    lockstep: bool

    def trouble(self) -> str:
        """Why the last opinion that failed to come did not, in a line; empty where nothing can be said."""
        ...

    def judge(self, rows: Sequence[Row]) -> list[Opinion | None]:
        """An opinion on each row; None where none came, so that asking again may help."""
        ...


class LenientJudge:
    """The built-in task's second opinion: some stated answer, anywhere, is the reference."""

    lockstep = False
    name = "lenient"

    def trouble(self) -> str:
        """Nothing."""
        return ""

    def judge(self, rows: Sequence[Row]) -> list[Opinion | None]:
        """By the text alone; never None."""
        right = [arithmetic.lenient(row.problem.reference, row.completion) for row in rows]
        return [Opinion(RIGHT, "stated") if r else Opinion(WRONG, "not stated") for r in right]


class ServerJudge:
    """A model behind a server, asked for Yes or No with `prompt`."""

    lockstep = False

    def __init__(self, server: Server, cfg: config.Server, prompt: str) -> None:
        self._server, self._prompt = server, prompt
        how = content_key(prompt, cfg.body, cfg.temperature, cfg.top_p, cfg.max_tokens)
        self.name = f"{cfg.model} ({how[:8]})"

    def trouble(self) -> str:
        """What the server met with last."""
        return self._server.trouble

    def judge(self, rows: Sequence[Row]) -> list[Opinion | None]:
        """Ask for all at once and wait. Raises UserError where the server refuses for good."""
        chats = [Chat(asked(self._prompt, row.problem, row.completion)) for row in rows]
        return [
            None if reply.lost else opinion(reply.text) if reply.text is not None else Opinion(UNKNOWN, reply.reason)
            for reply in self._server.ask(chats)
        ]


def opinion(reply: str) -> Opinion:
    """Yes or No, behind any `</think>`, as the first or the last word (the last decides, should both stand); anything
    else is unknown."""
    words = re.findall(r"[^\W_]+", reply.rpartition("</think>")[2].lower())
    for word in reversed([*words[:1], *words[-1:]]):
        if word in ("yes", "no"):
            return Opinion(RIGHT if word == "yes" else WRONG, word.capitalize())
    return Opinion(UNKNOWN, f"neither Yes nor No: {reply.strip()[-80:]!r}")


def opinions(judge: Judge, rows: Sequence[Row], cache: Cache) -> Iterator[tuple[int, list[Opinion | None]]]:
    """Opinions on `rows`, in chunks with the number of rows done; what `cache` has is not asked for again."""
    keys = [content_key(judge.name, *row) for row in rows]
    for start in range(0, len(rows), CHUNK):
        here = range(start, min(start + CHUNK, len(rows)))
        fresh = {keys[i]: rows[i] for i in here if cache.get(keys[i]) is None}
        for key, said in zip(fresh, judge.judge(list(fresh.values())) if fresh else [], strict=True):
            if said is not None:
                cache.put(key, said)
        kept = [cache.get(keys[i]) for i in here]
        yield here.stop, [Opinion(*k) if k else None for k in kept]


def echo(verdicts: Sequence[Verdict]) -> list[Opinion | None]:
    """The rule's own verdicts in place of a second judge's opinions: the rule alone labels."""
    return [Opinion(verdict.verdict, "the rule alone") for verdict in verdicts]


def read_rows(path: str) -> list[Row]:
    """Completions to be labelled, as `benchmarks.completions`; a row may say whether its text `finished`.

    Raises UserError naming file, line and rule.
    """
    found = []
    for place, problem, completion, row in benchmarks.completions(path):
        finished = row.get("finished", True)
        require(isinstance(finished, bool), f"{place}: finished = {finished!r} must be true or false")
        found.append(Row(problem, completion, finished))
    return found


def labelled(
    rows: Sequence[Row], verdicts: Sequence[Verdict], said: Sequence[Opinion | None], judge: str
) -> list[dict[str, Any]]:
    """The rows on which rule and judge agree, in VerifyRM's columns and with who said what."""
    return [
        {
            "question": row.problem.question,
            "reference_answer": row.problem.reference,
            "completion": row.completion,
            "label": int(verdict.verdict == RIGHT),
            "rule": verdict.verdict,
            "judge": other.verdict,
            "answer": verdict.answer,
            "rule_reason": verdict.reason,
            "judge_reason": other.reason,
            "judged_by": judge,
            "row": number,
        }
        for number, (row, verdict, other) in enumerate(zip(rows, verdicts, said, strict=True))
        if other is not None and verdict.verdict == other.verdict != UNKNOWN
    ]


class Cell(NamedTuple):
    """One pair of opinions, how often it came, and some of its rows."""

    rule: str
    judge: str
    count: int
    examples: list[dict[str, Any]]


def report(
    rows: Sequence[Row], verdicts: Sequence[Verdict], said: Sequence[Opinion | None], judge: str
) -> dict[str, Any]:
    """Figures of an annotation, as JSON can write them: what was kept and dropped, the confusion matrix of the
    annotators with examples, and how far they agree where both know (Cohen's kappa; None if chance explains all, or
    where the rule alone labels)."""
    pairs = [(v.verdict, "none" if o is None else o.verdict) for v, o in zip(verdicts, said, strict=True)]
    counts = Counter(pairs)
    cells = []
    for rule, other in sorted(counts):
        some = [i for i, pair in enumerate(pairs) if pair == (rule, other)][:EXAMPLES]
        shown = [_example(i, rows[i], verdicts[i], said[i]) for i in some]
        cells.append(Cell(rule, other, counts[rule, other], shown)._asdict())
    right, wrong = counts[RIGHT, RIGHT], counts[WRONG, WRONG]
    known = right + wrong + counts[RIGHT, WRONG] + counts[WRONG, RIGHT]
    compared = known if judge != RULE_ALONE else 0
    return {
        "rows": len(rows),
        "kept": right + wrong,
        "kept_right": right,
        "kept_wrong": wrong,
        "dropped": len(rows) - right - wrong,
        "dropped_disagree": known - right - wrong,
        "dropped_rule_unknown": sum(n for (rule, _), n in counts.items() if rule == UNKNOWN),
        "dropped_judge_unknown": sum(n for (rule, o), n in counts.items() if rule != UNKNOWN and o == UNKNOWN),
        "dropped_judge_silent": sum(n for (rule, o), n in counts.items() if rule != UNKNOWN and o == "none"),
        "agreement": (right + wrong) / compared if compared else None,
        "kappa": _kappa(counts, compared),
        "judge": judge,
        "cells": cells,
    }


def _kappa(counts: Counter[tuple[str, str]], known: int) -> float | None:
    if not known:
        return None
    agree = (counts[RIGHT, RIGHT] + counts[WRONG, WRONG]) / known
    rule = (counts[RIGHT, RIGHT] + counts[RIGHT, WRONG]) / known
    judge = (counts[RIGHT, RIGHT] + counts[WRONG, RIGHT]) / known
    chance = rule * judge + (1 - rule) * (1 - judge)
    return None if chance == 1 else (agree - chance) / (1 - chance)


def _example(number: int, row: Row, verdict: Verdict, said: Opinion | None) -> dict[str, Any]:
    text = row.completion
    return {
        "row": number,
        "question": row.problem.question,
        "reference_answer": row.problem.reference,
        "completion": text if len(text) <= SHOWN else f"… {text[-SHOWN:]}",
        "answer": verdict.answer,
        "rule_reason": verdict.reason,
        "judge_reason": said.reason if said else "no answer",
    }


def markdown(figures: dict[str, Any]) -> str:
    """The report as a page: counts, the matrix, and the examples on which the annotators do not agree."""
    share = lambda value: "-" if value is None else f"{value:.3f}"  # noqa: E731
    others = sorted({cell["judge"] for cell in figures["cells"]})
    counts = {(cell["rule"], cell["judge"]): cell["count"] for cell in figures["cells"]}
    lines = [
        "# Annotation",
        "",
        f"Judge: {figures['judge']}. Kept {figures['kept']} of {figures['rows']} rows "
        f"({figures['kept_right']} right, {figures['kept_wrong']} wrong), dropped {figures['dropped']}: "
        f"{figures['dropped_disagree']} on which rule and judge disagree, {figures['dropped_rule_unknown']} that the "
        f"rule does not know, {figures['dropped_judge_unknown']} that the judge does not know, "
        f"{figures['dropped_judge_silent']} without an answer of the judge.",
        f"Where both know, they agree on {share(figures['agreement'])} (kappa {share(figures['kappa'])}).",
        "",
        f"| rule \\ judge | {' | '.join(others)} |",
        f"|---{'|---' * len(others)}|",
    ]
    for rule in sorted({cell["rule"] for cell in figures["cells"]}):
        lines.append(f"| {rule} | {' | '.join(str(counts.get((rule, o), 0)) for o in others)} |")
    for cell in figures["cells"]:
        if cell["rule"] == cell["judge"] != UNKNOWN:
            continue
        lines += ["", f"## Rule: {cell['rule']}. Judge: {cell['judge']}. {cell['count']} rows"]
        for shown in cell["examples"]:
            lines += [
                "",
                f"Row {shown['row']}: " + visible(f"rule: {shown['rule_reason']}; judge: {shown['judge_reason']}"),
                "",
            ]
            quoted = {k: shown[k] for k in ("question", "reference_answer", "answer", "completion")}
            lines += ["```json", json.dumps(quoted, indent=1, ensure_ascii=False), "```"]
    return "\n".join(lines) + "\n"
