"""Does the policy learn the worked answers of a user's own data, as it will be asked, and from nothing but them?"""

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows import write
from runs import timeless
from theirs import causal, torch_logp
from transformers import PreTrainedTokenizerFast

from cooper_jax import config
from cooper_jax.config import Config, Model, Optim, Prompting, Rollout, Trainee, UserError, Verifier
from cooper_jax.programs.sft import sft
from cooper_jax.run import log
from cooper_jax.run.curves import records

pytestmark = pytest.mark.usefixtures("one_device")
SUMS = [
    {"question": f"What is {a}+{b}?", "solution": f"{a} + {b} = {a + b}", "answer": a + b}
    for a in range(1, 8)
    for b in range(1, 8)
]


def own(folder: Path, policy: str, rows: list[Any], **how: Any) -> Config:
    """To be taught `rows` in a few steps."""
    folder.mkdir(exist_ok=True)
    settings = {"dir": str(folder / "run"), "init": policy, "steps": 6, "batch": 8, "optim": Optim(lr=1e-2, warmup=1)}
    return Config(
        Trainee(Model(dtype="float32", remat="none"), init=str(folder / "run")),
        Trainee(),
        data=config.Data(source=write(folder / "rows.jsonl", rows), held_out=4),
        prompting=Prompting(instruction="{question} Use \\boxed{}."),
        rollout=Rollout(prompt_len=128, completion_len=96),
        verifier=Verifier(workers=1),
        sft=config.SFT(**settings | how),
        save_every=1000,
        keep=1,
        compile_cache="",
    )


def test_what_is_learned_is_what_transformers_says(
    policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss is of the completions alone, their stop tokens included, behind the prompts of training."""
    cfg = own(tmp_path, policy, SUMS, steps=1, batch=len(SUMS), optim=Optim(lr=1e-12, warmup=0))
    sft(cfg)
    tok, model = PreTrainedTokenizerFast.from_pretrained(policy), causal(policy)
    loss: dict[bool, list[float]] = {True: [], False: []}
    for row in SUMS:
        chat = [{"role": "user", "content": f"{row['question']} Use \\boxed{{}}."}]
        prompt = tok.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]
        said = f"{row['solution']}\nThe answer is \\boxed{{{row['answer']}}}."
        logp = torch_logp(model, prompt, [*tok(said)["input_ids"], tok.eos_token_id])
        loss[zlib.crc32(str(row["question"]).encode()) % 4 == 0] += (-logp).tolist()
    [record] = records(cfg.sft.dir)
    np.testing.assert_allclose(record["eval/loss"], np.mean(loss[True]), rtol=1e-4)
    said = capsys.readouterr().out
    assert "rows.jsonl (question -> solution): 49 rows; 49 used\n" in said
    # The one batch goes round: more worked solutions than are left to train on.
    train = sum(zlib.crc32(str(row["question"]).encode()) % 4 != 0 for row in SUMS)
    assert f"{train} worked solutions, 1 steps of 49" in said and f"{49 - train} held out" in said
    exact = own(tmp_path / "exact", policy, SUMS, steps=1, batch=train, optim=Optim(lr=1e-12, warmup=0))
    sft(exact)
    np.testing.assert_allclose(records(exact.sft.dir)[0]["sft/loss"], np.mean(loss[False]), rtol=1e-4)


def test_held_out_loss_falls_and_a_killed_run_continues_to_the_bit(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = own(tmp_path, policy, SUMS, eval_every=2)
    sft(cfg)
    lines = timeless(cfg.sft.dir)
    evaluated = {int(line["step"]): line["eval/loss"] for line in lines if "eval/loss" in line}
    assert list(evaluated) == [2, 4, 6] and evaluated[6] < evaluated[2] - 0.1
    killed, real, count = replace(cfg, sft=replace(cfg.sft, dir=str(tmp_path / "killed"))), log.finish, []

    def finish(*record: Any) -> Any:
        count.append(1)
        if len(count) == 4:
            raise RuntimeError("killed")
        return real(*record)

    with monkeypatch.context() as patch:
        patch.setattr(log, "finish", finish)
        with pytest.raises(RuntimeError):
            sft(killed)
    sft(killed)
    assert timeless(killed.sft.dir) == lines


def test_the_checkpoint_with_the_least_held_out_loss_is_kept(
    policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which one that is, the test says."""
    losses = iter([3.0, 1.0, 2.0])
    real = sft.__globals__["_held_out_loss"]
    monkeypatch.setitem(sft.__globals__, "_held_out_loss", lambda *args: real(*args) | {"eval/loss": next(losses)})
    cfg = own(tmp_path, policy, SUMS, eval_every=2)
    sft(cfg)
    assert {path.name for path in (Path(cfg.sft.dir) / "checkpoints").iterdir()} == {"4", "6"}


def test_what_is_left_out_is_said(policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {"question": "What is 1+1?", "completion": "It is \\boxed{3}.", "answer": "2"}
    rows = [
        *({"question": row["question"], "completion": f"\\boxed{{{row['answer']}}}"} | row for row in SUMS),
        wrong,
        {"question": "What is 2+2? " * 20, "completion": "\\boxed{4}", "answer": "4"},
        {"question": "What is 3+3?", "completion": "3+3 " * 60 + "\\boxed{6}", "answer": "6"},
    ]
    sft(own(tmp_path, policy, rows, steps=1))
    said = capsys.readouterr().out
    assert "(question -> completion): 52 rows; 49 used; 1 with prompts over 128 tokens (raise --rollout" in said
    assert "; 1 with completions over 96 tokens (raise --rollout.completion-len to " in said
    assert "; 1 in which the rule does not read the right answer (e.g. 'It is \\\\boxed{3}.')" in said


def test_several_sources_and_rows_without_references(
    policy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    svamp = {"Body": "Tim has 7 apples", "Question": "How many are 2 more?", "Answer": 9.0, "Equation": "( 7.0 + 2.0 )"}
    chats = [
        {"messages": [{"role": "user", "content": f"Say {i}."}, {"role": "assistant", "content": f"{i}."}]}
        for i in range(40)
    ]
    sources = (f"svamp:{write(tmp_path / 'svamp.json', [svamp])}", write(tmp_path / "chats.jsonl", chats))
    sft(own(tmp_path, policy, SUMS, steps=1, data=sources))
    said = capsys.readouterr().out
    assert "svamp.json: 1 rows; 1 used\n" in said
    assert "chats.jsonl (messages): 40 rows; 40 used; 40 of them without a reference, taken as they are\n" in said


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "rewrite"}, 'sft.task = "rewrite" is of the built-in task'),
        ({"rows": SUMS[:1]}, "of 1 worked answers, .* change data.held_out = 4"),
        ({"rows": [{"question": "A?", "answer": "2"}]}, "nothing to imitate; name a source with worked answers"),
        ({"rows": [SUMS[0] | {"completion": "2"}]}, "no worked answer is left of .*verifier.extract"),
        ({"solution": "how"}, "rows.jsonl, line 1: no column how"),
        ({"data": ("svmp:rows.jsonl",)}, "no such file; .* NAME:PATH with NAME one of gsm8k, svamp"),
    ],
)
def test_mistakes(change: dict[str, Any], message: str, policy: str, tmp_path: Path) -> None:
    rows = change.get("rows", SUMS)
    with pytest.raises(UserError, match=message):
        sft(own(tmp_path, policy, rows, **{name: value for name, value in change.items() if name != "rows"}))


def test_own_answers_need_questions_of_ones_own(tiny_config: Config) -> None:
    with pytest.raises(UserError, match=r'beside data.source = "arithmetic".* set data.source to the questions'):
        sft(replace(tiny_config, sft=config.SFT(data=("rows.jsonl",))))
    with pytest.raises(UserError, match="the built-in task stands alone"):
        config.SFT(data=("arithmetic",))
    with pytest.raises(UserError, match=r"sft.eval_every = -1"):
        config.SFT(eval_every=-1)
