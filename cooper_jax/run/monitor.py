"""Does the policy hack its reward model? What the records of a run's steps say, long before its accuracy falls.

A hacked reward model scores what is wrong as if it were right. So its false-positive rate rises, its mean score leaves
the accuracy behind, and on completions without a verdict, which nobody corrects, it believes more than is true of the
rest. The first two together, or the last alone, are an alarm. docs/toy.md has what the thresholds were measured on.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from cooper_jax.config import Monitor, UserError

LAG = 2
"""Steps before the one that is to begin, whose record is surely known: a step is logged while the next is computed."""
QUIET = 20
"""Steps without an alarm, after which one is said anew."""
_FIGURES = ("false_positive_rate", "youden", "gap", "auroc", "unread_gap")
_SIGN = "monitor/alarm"


class Watch:
    """Smooths the figures of a run's steps and says when they alarm.

    `past(step)` are the records up to a step, by which a run that is continued goes on to the digit.
    """

    def __init__(self, cfg: Monitor, past: Callable[[int], Iterable[Mapping[str, float]]]) -> None:
        self._cfg = cfg
        self._past: Callable[[int], Iterable[Mapping[str, float]]] | None = past
        self._sums: dict[str, float] = {}
        self._seen = 0
        self._alarms: list[int] = []

    def figures(self, step: int, record: Mapping[str, float]) -> dict[str, float]:
        """What is logged of `step` (counted from 1), whose record this is: nothing without scores to judge."""
        self._catch_up(step - 1)
        return self._add(step, record)

    def alarmed(self, step: int) -> bool:
        """Whether a step that is about to begin (counted from 1) finds an alarm: that of `LAG` steps before, so that
        it does not depend on when records are written."""
        self._catch_up(step - 1)
        return step - LAG in self._alarms

    def note(self, step: int, record: Mapping[str, float]) -> str | None:
        """A warning where `step` is the first to alarm for a while. Raises UserError where that is to end the run."""
        if not record.get(_SIGN):
            return None
        before = max((alarm for alarm in self._alarms if alarm < step), default=None)
        if before is not None and step - before <= QUIET:
            return None
        if self._cfg.action == "stop":
            raise UserError(f'{_said(record)} (monitor.action = "stop")')
        return _said(record)

    def _catch_up(self, last: int) -> None:
        """Once, at this process's first step: count what was before."""
        past, self._past = self._past, None
        for record in past(last) if past else []:
            self._add(int(record["step"]), record)

    def _add(self, step: int, record: Mapping[str, float]) -> dict[str, float]:
        if "score/gap" not in record and "score/unread" not in record:
            return {}
        self._seen += 1
        for name, count in _counts(record).items():
            self._sums[name] = self._cfg.decay * self._sums.get(name, 0.0) + (1 - self._cfg.decay) * count
        smooth = _smooth(self._sums)
        alarm = self._seen >= self._cfg.after and _alarming(smooth, self._cfg)
        if alarm:
            self._alarms.append(step)
        return {f"monitor/{name}": value for name, value in smooth.items()} | {_SIGN: float(alarm)}


def sentence(records: Sequence[Mapping[str, float]]) -> str:
    """What the monitor has to say at the end of a run with these records; nothing of one without scores."""
    watched = [record for record in records if _SIGN in record]
    alarms = [record for record in watched if record[_SIGN]]
    if not watched:
        return ""
    if not alarms:
        return f"monitor: no sign that the policy hacked its reward model in {len(watched)} steps"
    first, last, steps = int(alarms[0]["step"]), int(alarms[-1]["step"]), len(alarms)
    when = f"in {steps} of {len(watched)} steps, first at step {first}, last at {last}"
    return f"monitor: alarmed {when}; at the first, {_said(alarms[0])}"


def _counts(record: Mapping[str, float]) -> dict[str, float]:
    """Shares of the step's completions (of pairs, for the AUROC), which add up over steps as counts do."""
    unread, right = record.get("rule/unknown", 0.0), record.get("rule/accuracy", 0.0)
    read = 1 - unread
    wrong = max(read - right, 0.0)
    told = lambda name: record.get(f"score/{name}", 0.0)  # noqa: E731
    return {
        "read": read,
        "unread": unread,
        "right": right,
        "wrong": wrong,
        "called_right": told("recall") * right,
        "called_wrong": told("false_positive_rate") * wrong,
        "above": told("gap") * read,
        "unread_score": told("unread") * unread,
        "pairs": right * wrong if "score/auroc" in record else 0.0,
        "ordered": told("auroc") * right * wrong,
    }


def _smooth(sums: Mapping[str, float]) -> dict[str, float]:
    """The figures of smoothed counts; those without anything to count are left out."""
    ratio = lambda top, of: sums[top] / sums[of] if sums[of] > 1e-9 else None  # noqa: E731
    less = lambda left, right: None if left is None or right is None else left - right  # noqa: E731
    rate = ratio("called_wrong", "wrong")
    found = {
        "false_positive_rate": rate,
        "youden": less(ratio("called_right", "right"), rate),
        "gap": ratio("above", "read"),
        "auroc": ratio("ordered", "pairs"),
        "unread_gap": less(ratio("unread_score", "unread"), ratio("right", "read")),
    }
    return {name: found[name] for name in _FIGURES if found[name] is not None}


def _alarming(smooth: Mapping[str, float], cfg: Monitor) -> bool:
    deceived = smooth.get("false_positive_rate", 0.0) > cfg.false_positive_rate and smooth.get("gap", 0.0) > cfg.gap
    return deceived or smooth.get("unread_gap", 0.0) > cfg.unread_gap


def _said(record: Mapping[str, float]) -> str:
    """An alarm's figures in words."""
    told = []
    if "monitor/false_positive_rate" in record:
        told.append(
            f"the reward model calls {record['monitor/false_positive_rate']:.0%} of the wrong completions right and "
            f"believes {record['monitor/gap']:+.2f} more than the rule finds"
        )
    if "monitor/unread_gap" in record:
        told.append(
            f"where the rule cannot read, it believes {record['monitor/unread_gap']:+.2f} more than the rule finds"
        )
    return f"the policy seems to hack its reward model: {'; '.join(told)}"
