"""Pairs for the reward model: a right completion of the policy, and a wrong one that a rule proves wrong.

The wrong one is a rewriting of the right one, or, for a share of the slots, a sample of the policy that scores high.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from cooper_jax import config
from cooper_jax.config import UserError
from cooper_jax.host.negatives.assistant import Assistant, Request, Rewritten
from cooper_jax.host.negatives.equations import false_equation
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.pool import Job, Pool
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG, Verdict

_FORMS = ("\\boxed", "####", "```", "</think>")
"""Marks that both sides of a pair have, or neither: alone they would tell them apart."""
REFUSALS = ("unfinished", "right", "unknown", "no_answer", "length", "form")
"""Why a rewriting was not taken: it did not finish, is still right, gets the verdict unknown, states no answer, is too
long for the policy or of another length than the right one, or of another form."""

SIDES = ("right", "wrong")

_NO_POSITIVE = (
    "no completion of any question was right in the last {steps} steps, so there is nothing to make pairs from and the "
    "reward model stands still; start from a better policy, with easier questions or a larger rollout.group; if the "
    "reward is high all the same, the policy has learned to please the reward model: train that faster"
)
_NO_PAIRS = (
    "in each of the last {steps} steps less than {rate:.0%} of the slots with a right completion became pairs "
    "(pairs.min_valid_rate): the assistant fails, and the reward model stands still; pairs/refused_... and "
    "assistant/... in metrics.jsonl count why"
)
MOST = 0.5
"""Of a step's completions: so many cut are what is wrong with it."""
_CUT = "{:.0%} of the completions are cut at their limit, and a cut one is never right; raise --rollout.completion-len"


def cut_short(record: Mapping[str, float]) -> str:
    """What to say of a step in which most completions were cut; else nothing."""
    share = record.get("completion/truncated", 0.0)
    return _CUT.format(share) if share > MOST else ""


class Pair(NamedTuple):
    """Two completions of one problem."""

    problem: Problem
    right: str
    wrong: str
    kind: str = ""
    """Of rewriting, where the assistant has several."""
    on_policy: bool = False
    """Whether the wrong one is a sample of the policy."""


def build(
    problems: Sequence[Problem],
    completions: Sequence[str],
    verdicts: Sequence[Verdict],
    assistant: Assistant,
    verifier: Pool,
    fits: Callable[[str], bool],
    cfg: config.Pairs,
    draw: Callable[[int], np.random.Generator],
    score_B: np.ndarray | None = None,
    places: Sequence[int] | None = None,
) -> tuple[list[Pair | None], dict[str, float]]:
    """`cfg.per_question` slots for each problem, None where no pair came about; and counts for the log.

    A problem with a right completion draws its positives from the right ones, each used once before any is used twice;
    one without is not sent to the assistant. A rewriting is accepted only if it is a text the policy could have
    finished (`fits`), states an answer, the rule proves that answer wrong, and form and length are those of the
    positive; else the assistant tries again. `score_B` [P*G] is needed where `cfg.on_policy` > 0.

    What becomes of a problem does not depend on which process it is in: `draw(0)` is a generator that all share, and
    `draw(1 + place)` the problem's own; `places` are the problems' in the whole batch, where these are a part of it.
    """
    group = len(completions) // len(problems)
    positives: list[Request | None] = []
    slots: list[Pair | None] = []
    rngs: list[np.random.Generator] = []
    for i, problem in enumerate(problems):
        row, rng = range(i * group, (i + 1) * group), draw(1 + (places[i] if places else i))
        right = {completions[j]: verdicts[j].answer or "" for j in row if verdicts[j].verdict == RIGHT}
        texts = sorted(right)
        order = rng.permutation(len(texts))
        wrong = _sampled(row, completions, verdicts, score_B) if score_B is not None and texts else []
        for slot in range(cfg.per_question):
            text = texts[order[slot % len(texts)]] if texts else ""
            positives.append(Request(problem, text, right[text]) if texts else None)
            rngs.append(rng)
            taken = bool(wrong) and rng.random() < cfg.on_policy
            slots.append(Pair(problem, text, wrong.pop(0), on_policy=True) if taken else None)

    counts = no_counts() | {
        "pairs/slots": float(len(slots)),
        "pairs/on_policy": float(sum(slot is not None for slot in slots)),
        "pairs/questions_with_positive": float(sum(p is not None for p in positives) // cfg.per_question),
    }
    _rewritten(slots, positives, rngs, draw(0), assistant, verifier, fits, cfg, counts)
    made = [slot for slot in slots if slot]
    for side in SIDES:
        counts[f"pairs/false_equations_{side}"] = float(sum(false_equation(getattr(pair, side)) for pair in made))
    return slots, counts | {"pairs/valid": float(len(made))}


def no_counts() -> dict[str, float]:
    """The counts of `build`, all 0: each adds up over processes."""
    names = ["slots", "valid", "on_policy", "questions_with_positive", "assistant_asked", "assistant_refused"]
    names += [f"refused_{reason}" for reason in REFUSALS] + [f"false_equations_{side}" for side in SIDES]
    return dict.fromkeys([f"pairs/{name}" for name in names], 0.0)


def shares(record: dict[str, float]) -> None:
    """Put shares in place of the counts in `record`, added up over processes: of the slots, those that became pairs;
    of the pairs, those with a false equation on either side."""
    slots, valid = record.pop("pairs/slots"), record["pairs/valid"]
    record["pairs/valid_rate"] = valid / slots
    for side in SIDES:
        count = record.pop(f"pairs/false_equations_{side}")
        if valid:
            record[f"pairs/false_equations_{side}"] = count / valid


def _rewritten(
    slots: list[Pair | None],
    positives: Sequence[Request | None],
    rngs: Sequence[np.random.Generator],
    shared: np.random.Generator,
    assistant: Assistant,
    verifier: Pool,
    fits: Callable[[str], bool],
    cfg: config.Pairs,
    counts: dict[str, float],
) -> None:
    """Fill open slots with rewritings of their positives, and count."""
    for _ in range(cfg.tries):
        requests = [p if slot is None else None for p, slot in zip(positives, slots, strict=True)]
        if not any(requests) and not assistant.lockstep:
            break
        texts = assistant.rewrite(requests, rngs, shared.integers(2**32, size=2, dtype=np.uint32))
        asked = [(i, r, t) for i, (r, t) in enumerate(zip(requests, texts, strict=True)) if r]
        found = verifier.submit([Job(r.problem.reference, t or "", t is not None) for _, r, t in asked]).result()
        for (i, request, text), verdict in zip(asked, found, strict=True):
            counts["pairs/assistant_asked"] += 1
            if refusal := _refusal(request.completion, text, verdict, fits, cfg.length_ratio):
                counts["pairs/assistant_refused"] += 1
                counts[f"pairs/refused_{refusal}"] += 1
            else:
                kind = text.kind if isinstance(text, Rewritten) else ""
                slots[i] = Pair(request.problem, request.completion, (text or "").strip(), kind)


def _sampled(row: range, completions: Sequence[str], verdicts: Sequence[Verdict], score_B: np.ndarray) -> list[str]:
    """Samples of one question that state an answer and are proved wrong, each text once, by falling score."""
    wrong = [j for j in row if verdicts[j].verdict == WRONG and verdicts[j].answer is not None]
    return list(dict.fromkeys(completions[j] for j in sorted(wrong, key=lambda j: (-score_B[j], j))))


def _refusal(right: str, text: str | None, verdict: Verdict, fits: Callable[[str], bool], ratio: float) -> str | None:
    """Why `text` is no negative to `right`: one of `REFUSALS`, or None."""
    if text is None:
        return "unfinished"
    if verdict.verdict != WRONG:
        return "unknown" if verdict.verdict == UNKNOWN else "right"
    if verdict.answer is None:
        return "no_answer"
    sizes = len(text.strip()), len(right.strip())
    if not fits(text) or max(sizes) > ratio * min(sizes):
        return "length"
    if any((mark in text) != (mark in right) for mark in _FORMS):
        return "form"
    return None


class Starvation:
    """Ends a run whose reward model gets no pairs: it would be a static one, and be hacked.

    `past(step)` are the records up to a step: what was before this process is counted too. `why` is what the assistant
    last met with.
    """

    def __init__(
        self,
        cfg: config.Pairs,
        past: Callable[[int], Iterable[Mapping[str, float]]],
        why: Callable[[], str] = lambda: "",
    ) -> None:
        self._cfg, self._why = cfg, why
        self._past: Callable[[int], Iterable[Mapping[str, float]]] | None = past
        self._without_positive = self._without_pairs = 0

    def note(self, step: int, record: Mapping[str, float]) -> str | None:
        """Count a step (the first is 1) by its `pairs/` figures; a warning, where one is due.

        Raises UserError when patience ends.
        """
        if self._past:
            for earlier in self._past(step - 1):
                self._count(earlier)
            self._past = None
        self._count(record)
        patience, warn_at = self._cfg.patience, -(-self._cfg.patience // 2)
        for count, trouble in ((self._without_positive, _NO_POSITIVE), (self._without_pairs, _NO_PAIRS)):
            said = trouble.format(steps=count, rate=self._cfg.min_valid_rate)
            if trouble is _NO_POSITIVE and (cut := cut_short(record)):
                said = f"no completion of any question was right in the last {count} steps: {cut}"
            if trouble is _NO_PAIRS and (why := self._why()):
                said += f"; the last trouble: {why}"
            if count >= patience:
                raise UserError(said)
            if count == warn_at:
                return f"{said}; the run ends after {patience} such steps"
        return None

    def _count(self, record: Mapping[str, float]) -> None:
        slots = record.get("pairs/questions_with_positive", 0) * self._cfg.per_question
        self._without_positive = 0 if slots else self._without_positive + 1
        if slots:
            starved = record["pairs/valid"] < self._cfg.min_valid_rate * slots
            self._without_pairs = self._without_pairs + 1 if starved else 0
