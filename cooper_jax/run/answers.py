"""Does the rule find answers where the policy writes them? What is seen of the first completions, and what to set."""

from collections.abc import Callable, Mapping, Sequence

from cooper_jax.config import Config, UserError
from cooper_jax.host.negatives.build import cut_short
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.verdict import Verdict
from cooper_jax.mesh import hosts

Note = Callable[[int, Mapping[str, float]], str | None]
"""Looks at the record of a step, counted from 1: a warning where one is due."""
_MARKS = {"boxed": "\\boxed", "hash": "####", "phrase": "answer is"}
"""How a prompt asks for the form that the rule reads."""
_EXAMPLES = {"boxed": "put your final answer within \\boxed{}", "hash": "end with #### ANSWER"}


def expected(cfg: Config, asked: Sequence[Problem]) -> str:
    """What to set, so that answers stand where the rule looks for them; empty where it is asked for already."""
    if cfg.verifier.rule == "arithmetic":
        built_in = cfg.data.source == "arithmetic"
        return "" if built_in else 'it reads the built-in task\'s "#N"; set --verifier.rule math for other data'
    mark = _MARKS.get(cfg.verifier.extract)
    texts = [message.content for problem in asked for message in encode.chat(problem, cfg.prompting)]
    if mark is None or any(mark in text for text in texts):
        return ""
    example = _EXAMPLES.get(cfg.verifier.extract, 'say "the answer is ..."')
    return (
        f'it looks for {mark} (verifier.extract = "{cfg.verifier.extract}"), and no prompt asks for that; set '
        f"prompting.instruction, such as '{{question}}\\nReason step by step, and {example}.', or take answers in "
        "other forms with --verifier.extract auto"
    )


def check(cfg: Config, asked: Sequence[Problem], verdicts: Sequence[Verdict]) -> None:
    """Look at the verdicts on a run's first completions. All processes must call.

    Raises UserError, in all of them, where no finished completion states an answer that the rule finds, and nothing
    asks for one in that form: such a run learns nothing.
    """
    hint = expected(cfg, asked) if cfg.train_reward or cfg.reward_source != "model" else ""
    if not hint:
        return
    finished = [v for v in verdicts if v.reason != "unfinished"]
    counts = hosts.gather([len(finished), sum(v.answer is not None for v in finished)])
    count, answered = (sum(column) for column in zip(*counts, strict=True))
    if count and not answered:
        raise UserError(
            f"in none of the first {count} finished completions does the rule find an answer: {hint}",
            agreed=hosts.count() > 1,
        )


def watch(notes: Sequence[Note], step: int, record: Mapping[str, float]) -> str | None:
    """What is to be said of the record of a step (counted from 1): what `notes` say, and after the first one where most
    completions were cut."""
    said = [cut_short(record) if step == 1 else "", *(note(step, record) for note in notes)]
    return "; ".join(filter(None, said)) or None
