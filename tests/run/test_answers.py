"""Does a run whose rule finds no answers say so at its start, and what to set?"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import tokenizer_folder
from rows import write

from cooper_jax import config, cooper
from cooper_jax.config import Config, Model, Prompting, Trainee, UserError, Verifier
from cooper_jax.cooper import train
from cooper_jax.host.negatives.build import Starvation
from cooper_jax.host.text import encode
from cooper_jax.host.text.data import Message, Problem
from cooper_jax.host.verifier.pool import Job
from cooper_jax.host.verifier.verdict import RIGHT, WRONG, Verdict
from cooper_jax.run import answers

NONE, CUT = Verdict(WRONG, None, "no answer stated"), Verdict(WRONG, None, "unfinished")
STATED = Verdict(WRONG, "3", "different")
ASKED = [Problem("1+1?", "2")]


def on_file(rule: Verifier, prompting: Prompting = Prompting(), **more: Any) -> Config:  # noqa: B008
    return Config(Trainee(), Trainee(), data=config.Data("rows.jsonl"), verifier=rule, prompting=prompting, **more)


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        (Verifier(), r"looks for \\boxed .* prompting.instruction, .* --verifier.extract auto"),
        (Verifier(extract="hash"), "looks for ####"),
        (Verifier(extract="phrase"), "looks for answer is"),
        (Verifier("arithmetic"), "set --verifier.rule math"),
    ],
)
def test_no_answer_where_none_is_asked_for(rule: Verifier, hint: str) -> None:
    with pytest.raises(UserError, match=f"in none of the first 2 finished completions .*{hint}"):
        answers.check(on_file(rule), ASKED, [NONE, NONE, CUT])


def test_runs_that_go_on() -> None:
    """Where an answer stands, was asked for, is not needed, or where all were cut."""
    boxed = Prompting(instruction="{question} Use \\boxed{}.")
    chat = [Problem("1+1?", "2", (Message("system", "Use \\boxed{}."), Message("user", "1+1?")))]
    static: dict[str, Any] = {"train_reward": False}
    for cfg, asked, verdicts in (
        (on_file(Verifier()), ASKED, [NONE, STATED]),
        (on_file(Verifier()), ASKED, [CUT, CUT]),
        (on_file(Verifier()), chat, [NONE]),
        (on_file(Verifier(), boxed), ASKED, [NONE]),
        (on_file(Verifier(extract="auto")), ASKED, [NONE]),
        (on_file(Verifier(), **static), ASKED, [NONE]),
    ):
        answers.check(cfg, asked, verdicts)
    with pytest.raises(UserError):
        answers.check(on_file(Verifier(), reward_source="rule", **static), ASKED, [NONE])
    answers.check(on_file(Verifier()), ASKED, [Verdict(RIGHT, "2", "equal")])


@pytest.mark.usefixtures("one_device")
def test_the_built_in_task_needs_its_own_rule(tiny_config: Config) -> None:
    cfg = replace(tiny_config, policy=replace(tiny_config.policy, init=""), reward=replace(tiny_config.reward, init=""))
    with pytest.raises(UserError, match=r'verifier.rule = "math" does not read .* set --verifier.rule arithmetic'):
        train(replace(cfg, verifier=Verifier(workers=1)))


@pytest.mark.usefixtures("one_device")
def test_a_run_without_answers_ends_before_anything_is_saved(
    tiny_config: Config, tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(tokens_BT: np.ndarray, real_BT: np.ndarray, tokenizer: Any) -> Sequence[str]:
        return ["So it is 4."] * len(tokens_BT)

    monkeypatch.setattr(encode, "decode", decode)
    monkeypatch.setattr(cooper, "Job", lambda reference, text, *_: Job(reference, text, True))
    model = Trainee(replace(tiny, vocab=384), tokenizer=tokenizer_folder(tmp_path / "qwen", "qwen"))
    rows = [{"question": f"{n}+{n}?", "answer": 2 * n} for n in range(40)]
    cfg = replace(
        tiny_config,
        policy=model,
        reward=model,
        data=config.Data(source=write(tmp_path / "rows.jsonl", rows), held_out=10),
        rollout=replace(tiny_config.rollout, prompt_len=80),
        scoring=replace(tiny_config.scoring, length=60),
        verifier=Verifier(workers=1),
        eval_every=0,
        steps=1,
    )
    with pytest.raises(UserError, match=r"in none of the first 32 finished completions .*set prompting.instruction"):
        train(cfg)
    assert not list((Path(cfg.dir) / "checkpoints").glob("[0-9]*"))
    train(replace(cfg, verifier=Verifier(workers=1, extract="last")))


def test_most_completions_are_cut() -> None:
    """It is said after the first step, whatever the arm, and blamed where nothing was right."""
    cut, whole = {"completion/truncated": 0.7}, {"completion/truncated": 0.4}
    nothing = lambda *_: None  # noqa: E731
    said = answers.watch([nothing], 1, cut)
    assert said and said.startswith("70% of the completions are cut") and "raise --rollout.completion-len" in said
    assert answers.watch([nothing], 2, cut) is None and answers.watch([nothing], 1, whole) is None
    assert answers.watch([lambda *_: "more"], 1, cut) == f"{said}; more"
    for record, blamed in ((cut, "last 3 steps: 70% of the completions are cut"), (whole, "better policy")):
        starvation = Starvation(config.Pairs(patience=3), lambda _: [])
        assert starvation.note(1, record) is None
        assert blamed.replace("3", "2") in str(starvation.note(2, record))
        with pytest.raises(UserError, match=blamed):
            starvation.note(3, record)
