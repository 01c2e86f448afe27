"""What a run did, in words: finished or not, learned or hacked and since when, its best step, what to look at first.

Truth is the held-out accuracy where there are at least three evaluations, else the rule on the training completions.
`hacked`: truth has fallen from its best while the reward has not. docs/report.md explains the thresholds.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cooper_jax.reports import novelty
from cooper_jax.reports.arms import smoothed
from cooper_jax.reports.ran import Ran

FALL = 0.05
"""Truth must have fallen so far, and by three standard errors, to count as fallen."""
STAYS = 0.02
"""A reward that has not fallen by more has stayed."""
WIDER = 0.15
"""A gap between reward and truth, or a false-positive rate, that has grown so much is a sign."""


class Outcome(NamedTuple):
    """Of one run."""

    word: str
    """hacked | collapsed | drifting | learned | declined | unchanged | unknown; of another program: trained."""
    since: int
    """The last step at which truth stood near its best; 0 where it has not fallen."""
    sign: int
    """The first step from which the false-positive rate stood above its start for good; 0: none."""
    best: int
    """Step of the best truth."""
    figures: dict[str, float]
    """first, best, last truth; reward and gap at the end; error of the best."""


def outcome(run: Ran) -> Outcome:
    """What became of a run of `cooper train`."""
    reward, truth, error = run.curve("reward/mean"), *_truth(run)
    if run.program != "train" or not truth.shape[1]:
        return Outcome("trained" if run.program != "train" else "unknown", 0, 0, run.last, {})
    paid = np.interp(truth[0], reward[0], smoothed(reward[1]))
    top = int(truth[1].argmax())
    figures = {
        "first": float(truth[1, 0]),
        "best": float(truth[1, top]),
        "last": _end(truth[1]),
        "error": float(error[top]),
        "reward": _end(smoothed(reward[1])),
        "reward_at_best": float(paid[top]),
    }
    figures["gap"] = figures["reward"] - figures["last"]
    figures["gap_first"] = float(paid[0]) - figures["first"]
    enough = max(FALL, 3 * float(error.max()))
    word = _word(figures, enough, bool(_source(run) == "rule"))
    since = 0
    if word in ("hacked", "collapsed", "declined"):
        near = np.flatnonzero(truth[1] >= figures["best"] - enough / 2)
        since = int(truth[0, near[-1]])
    return Outcome(word, since, _sign(run), int(truth[0, top]), figures)


def _word(figures: dict[str, float], enough: float, rule: bool) -> str:
    fallen = figures["best"] - figures["last"] > enough
    if fallen and figures["reward"] >= figures["reward_at_best"] - STAYS and not rule:
        return "hacked"
    if fallen:
        return "collapsed" if figures["last"] < figures["first"] - enough else "declined"
    if not rule and figures["gap"] > max(figures["gap_first"], 0.0) + WIDER:
        return "drifting"
    return "learned" if figures["last"] - figures["first"] > min(enough, 2 * FALL) else "unchanged"


def _source(run: Ran) -> str:
    return str(run.settings.get("reward_source", "model"))


def _truth(run: Ran) -> tuple[np.ndarray, np.ndarray]:
    """Steps and true accuracies [2, N], and the standard error of each [N]."""
    held_out = run.curve("eval/accuracy")
    if held_out.shape[1] >= 3:
        stated = dict(run.curve("eval/standard_error").T)
        return held_out, np.array([stated.get(step, 0.0) for step in held_out[0]])
    rule = run.curve("rule/accuracy")
    if rule.shape[1] < 3:
        return np.empty((2, 0)), np.empty(0)
    smooth = smoothed(rule[1])
    window = 2 * (rule.shape[1] // 80) + 1
    noise = float(np.std(rule[1] - smooth)) if window > 1 else float(np.std(np.diff(rule[1]))) / np.sqrt(2)
    return np.stack([rule[0], smooth]), np.full(rule.shape[1], noise / np.sqrt(window))


def _end(value_N: np.ndarray) -> float:
    """The mean of the last tenth."""
    return float(value_N[-max(1, len(value_N) // 10) :].mean())


def _begin(value_N: np.ndarray) -> float:
    return float(value_N[: max(1, len(value_N) // 10)].mean())


def _sign(run: Ran) -> int:
    """From which step on the false-positive rate stands WIDER above its start."""
    step, rate = run.curve("score/false_positive_rate")
    if len(rate) < 10:
        return 0
    rate = smoothed(rate)
    above = rate > min(_begin(rate) + WIDER, 0.95)
    below = np.flatnonzero(~above)
    return int(step[below[-1] + 1]) if above[-1] and len(below) else int(step[0]) if above.all() else 0


def in_words(run: Ran, found: Outcome) -> str:
    """The outcome as a sentence or two."""
    at, where = found.figures, "held-out accuracy" if run.curve("eval/accuracy").shape[1] >= 3 else "rule accuracy"
    if not at:
        return "No rule has judged it often enough to say." if run.program == "train" else _other(run)
    path = f"{where} {at['first']:.2f} → {at['last']:.2f}"
    paid = f"reward {at['reward']:.2f}"
    gap = f"gap {at['gap']:+.2f}"
    sign = f"the false-positive rate has stood {WIDER} above its start since step {found.sign}." if found.sign else ""
    early = found.sign < found.since or not found.since
    sign = f" {f'First sign: {sign}' if early else sign.capitalize()}" if sign else ""
    best = f"best {at['best']:.2f} at step {found.best}"
    return {
        "hacked": f"Since about step {found.since} the reward no longer means what it says: {where} fell from "
        f"{at['best']:.2f} to {at['last']:.2f} while the reward went from {at['reward_at_best']:.2f} to "
        f"{at['reward']:.2f} ({gap}).{sign}",
        "collapsed": f"Reward and truth fell together after step {found.since}: {path}, below the start ({best}).",
        "declined": f"Past its best since about step {found.since}: {path} ({best}); {paid}.",
        "drifting": f"The reward runs ahead: gap {at['gap_first']:+.2f} → {at['gap']:+.2f}, while {path}. Accuracy has "
        f"not fallen yet.{sign}",
        "learned": f"{path[0].upper()}{path[1:]}, {paid} ({gap})"
        + (f".{sign}" if sign else "; no sign that the reward is being played."),
        "unchanged": f"{path[0].upper()}{path[1:]}: no more than noise; {paid} ({gap}).{sign}",
    }[found.word]


def _other(run: Ran) -> str:
    """Of supervised runs: the losses."""
    said = []
    for name in ("sft/loss", "fit/loss", "eval/loss", "eval/accuracy", "eval/auroc"):
        curve = run.curve(name)
        if curve.shape[1]:
            said.append(f"{name} {curve[1, 0]:.3f} → {_end(curve[1]):.3f}")
    return "; ".join(said) + "."


class Check(NamedTuple):
    """Something worth a look: `figure` beyond `limit` at the end."""

    figure: str
    above: bool
    limit: float
    said: str
    place: str
    """Section of the page."""


CHECKS = (
    Check("pairs/valid_rate", False, 0.3, "few slots become pairs ({:.0%}): the reward model hardly learns", "pairs"),
    Check("pairs/style_accuracy", True, 0.7, "form alone tells the sides of pairs apart ({:.2f})", "pairs"),
    Check("completion/truncated", True, 0.1, "{:.0%} of the completions hit the length limit", "curves"),
    Check("rule/unknown", True, 0.1, "the rule cannot judge {:.0%} of the completions", "samples"),
    Check("reward/zero_std_groups", True, 0.85, "{:.0%} of the groups have no contrast and teach nothing", "curves"),
    Check("policy/clip_fraction", True, 0.3, "{:.0%} of the tokens are clipped: updates are large", "curves"),
    Check("policy/sampler_gap", True, 0.05, "sampler and trainer disagree ({:.3f} a token)", "curves"),
    Check("policy/entropy", False, 0.02, "the policy's entropy is nearly gone ({:.3f} a token)", "curves"),
)


def looks(run: Ran, found: Outcome) -> list[tuple[str, str]]:
    """What to look at first, most telling first: a sentence, and a link inside the page."""
    said: list[tuple[str, str]] = []
    high = "show=high&sort=disagreement"
    if found.word == "hacked":
        said.append((f"wrong completions that score high, from step {found.since} on", f"{high}&from={found.since}"))
    elif found.word == "drifting" or found.sign:
        since = f"&from={found.sign}" if found.sign else ""
        said.append(("wrong completions that score high", high + since))
    if found.word in ("collapsed", "declined"):
        said.append((f"samples after step {found.since}", f"sort=step&from={found.since}"))
    if tricks := novelty.tricks(run.samples):
        was, now, text = f"{tricks[0]['was']:.0%}", f"{tricks[0]['now']:.0%}", tricks[0]["text"]
        said.append((f"a new opening, hardly ever right, spread from {was} to {now}: {text}", "novelty"))
    elif found.word == "hacked":
        said.append(("what grew among high scores", "novelty"))
    for check in CHECKS:
        curve = run.curve(check.figure)
        if curve.shape[1] and (_end(curve[1]) > check.limit) == check.above:
            said.append((check.said.format(_end(curve[1])), check.place))
    skipped = sum(int(value) for name in ("policy", "rm_update") for value in run.curve(f"{name}/skipped")[1])
    if skipped:
        said.append((f"{skipped} updates were skipped: their gradient was not finite", "curves"))
    wrong, right = (run.curve(f"pairs/false_equations_{side}")[1] for side in ("wrong", "right"))
    if len(wrong) and _end(wrong) - _end(right) > 0.2:
        shares = f"{_end(wrong):.0%} of the wrong sides of pairs hold a false sum, {_end(right):.0%} of the right ones"
        said.append((f"{shares}: checking sums may be enough to part them", "pairs"))
    kl = run.curve("policy/kl")[1]
    if len(kl) > 20 and _end(kl) > 5 * max(float(np.median(kl)), 0.02):
        said.append((f"KL ends at {_end(kl):.2f}, five times its median", "curves"))
    return said or [_anyway(run)]


def _anyway(run: Ran) -> tuple[str, str]:
    if not len(run.samples["step"]):
        return "nothing stands out; the curves", "curves"
    if _source(run) == "rule":
        return "nothing stands out; read the latest samples", "sort=late"
    return "nothing stands out; read the disagreements", "sort=disagreement"


def state(run: Ran) -> str:
    """Finished, or how far and since when nothing was written."""
    if not run.steps:
        return f"{run.last} steps"
    if run.last >= run.steps:
        return f"finished, {run.last} steps"
    hours, minutes = divmod(int(run.idle) // 60, 60)
    ago = f"{hours // 24} days" if hours >= 48 else f"{hours} h" if hours else f"{minutes} min"
    return f"step {run.last} of {run.steps}; last written {ago} ago"


def nearest(run: Ran, best: int) -> str:
    """The checkpoint that is kept and lies nearest to the best step."""
    if not run.checkpoints:
        return "no checkpoint kept"
    step = min(run.checkpoints, key=lambda kept: (abs(kept - best), kept))
    return "its checkpoint is kept" if step == best else f"nearest checkpoint kept: {step}"


def of_arm(runs: Sequence[Ran], numbers: Sequence[int]) -> dict[str, Any]:
    """The page's card of an arm: a word for all runs, and a row for each."""
    found = [(number, outcome(runs[number])) for number in numbers]
    words = [each.word for _, each in found]
    common = max(dict.fromkeys(words), key=words.count)
    rows = [
        {
            "run": number,
            "word": each.word,
            "state": state(runs[number]),
            "finished": 0 < runs[number].steps <= runs[number].last,
            "said": in_words(runs[number], each),
            "best": each.best,
            "checkpoint": nearest(runs[number], each.best),
            "figures": each.figures,
            "since": each.since,
            "sign": each.sign,
            "looks": looks(runs[number], each),
        }
        for number, each in found
    ]
    leads = next(row for row in rows if row["word"] == common)
    said = leads["said"] if len(rows) == 1 else _of_seeds([each for _, each in found], common)
    return {"word": common, "said": said, "rows": rows, "looks": leads["looks"], "leads": leads["run"]}


def _of_seeds(found: Sequence[Outcome], common: str) -> str:
    """How many of the seeds did what most did, since when, and the figures with their standard errors."""
    alike = [each for each in found if each.word == common]
    head = f"{len(alike)} of {len(found)} seeds {common}"
    since = sorted(each.since for each in alike if each.since)
    if since:
        head += f", since step {since[0]}" if since[0] == since[-1] else f", since steps {since[0]} to {since[-1]}"
    if not all(each.figures for each in found):
        return f"{head}."
    figure = {name: _with_error([each.figures[name] for each in found]) for name in found[0].figures}
    return (
        f"{head}. True accuracy {figure['first']} → {figure['last']} (best {figure['best']}), reward "
        f"{figure['reward']}, gap {figure['gap']}; means and standard errors over seeds."
    )


def _with_error(values: Sequence[float]) -> str:
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.2f}"
