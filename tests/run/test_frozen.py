"""A frozen model on the mesh: does it say what its weights say, and is it asked in step?"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow.parquet as pq
import pytest
from small import see_one_device

from cooper_jax import config, cooper
from cooper_jax.config import Config, UserError
from cooper_jax.host import arithmetic
from cooper_jax.host.judge import Row
from cooper_jax.host.negatives import build as negatives
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.pool import Job
from cooper_jax.host.verifier.verdict import RIGHT, UNKNOWN, WRONG
from cooper_jax.model import heads, transformer
from cooper_jax.programs import annotate, sft
from cooper_jax.run import frozen, machine, setup, start
from cooper_jax.run.curves import records

pytestmark = pytest.mark.usefixtures("one_device")


@pytest.fixture(scope="module")
def taught(warm: Config, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a model that was taught to rewrite, though not for long."""
    folder = tmp_path_factory.mktemp("models") / "rewriter"
    how = replace(warm.sft, task="rewrite", dir=str(folder), steps=150)
    with pytest.MonkeyPatch.context() as patch:
        see_one_device(patch)
        sft.sft(replace(warm, rollout=replace(warm.rollout, prompt_len=32), sft=how))
    return str(folder)


@pytest.fixture
def rewriter(started: Config, taught: str) -> Config:
    """A run with an assistant on the mesh."""
    model = config.MeshModel(init=taught, prompt_len=32, completion_len=24, batch=8)
    helper = config.Assistant("mesh", mesh=model, prompt="{question};{completion}")
    return replace(started, assistant=helper, steps=2, eval_every=0)


def model_of(cfg: Config, here: setup.Machine, rows: int, **changes: Any) -> frozen.FrozenModel:
    how = replace(cfg.assistant.mesh, **changes)
    return frozen.frozen_model("assistant.mesh", how, "arithmetic", here.mesh, rows)


def test_texts_and_chances_are_the_models(rewriter: Config) -> None:
    asked = ["1+2-1;1+2=3;3-1=2#2", "2+2+1;#5", "1+1+1;#3"]
    key = np.arange(2, dtype=np.uint32)
    with machine.machine(rewriter) as here:
        model = model_of(rewriter, here, 8)
        said = model.texts(asked, key)
        assert said == model.texts(asked, key) != model.texts(asked, key + 1)
        # Nearly all end in time: on five seeds of its training and twenty keys each, two or three of the three did.
        assert sum(text is not None for text in said) >= 1 and all(text is None or "<" not in text for text in said)
        assert model_of(rewriter, here, 8, completion_len=1).texts(asked, key) == [None] * 3  # cut off
        assert model_of(rewriter, here, 8, prompt_len=10).texts(asked, key)[0] is None  # too long
        assert model.texts([], key) == []
        with pytest.raises(UserError, match="9 prompts for the 8 slots"):
            model.texts(["1"] * 9, key)

        words = (("#", "1"), ("7",))
        got = model.chances([*asked, *asked, *asked], words)
        tokenizer = here.tokenizers.get("policy") or arithmetic.Tokenizer()
        row = [tokenizer.bos_id, *tokenizer.encode(asked[1])]  # pyright: ignore[reportAttributeAccessIssue]
        ran = start.resolve("assistant.mesh", config.Trainee(init=rewriter.assistant.mesh.init)).model
        with jax.transfer_guard("allow"):
            params, token = model._params, jnp.array([row])
            hidden = transformer.forward(params, token, jnp.ones(token.shape, bool), ran)
            chance = np.asarray(jnp.exp(heads.logits(params, hidden, ran)[0, -1]))
        chance = chance / chance.sum()
        ids = [[tokenizer.encode_batch([word])[0][0] for word in some] for some in words]
        assert len(got) == 9 and got[1] == got[4] == got[7]
        assert got[1] is not None
        np.testing.assert_allclose(got[1], [chance[i].sum() for i in ids], rtol=1e-4)


def test_a_run_with_an_assistant_on_the_mesh(rewriter: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it writes becomes pairs; the run can be continued to the same records."""
    said: list[str | None] = []
    real = frozen.MeshAssistant.rewrite

    def rewrite(self: frozen.MeshAssistant, requests: Any, *how: Any) -> list[str | None]:
        texts = real(self, requests, *how)
        said.extend(text for r, text in zip(requests, texts, strict=True) if r)
        return [r and f"#{int(r.problem.reference) + 1}" for r in requests]

    def answers(tokens_BT: np.ndarray, *_: Any) -> list[str]:
        return [f"#{i % 4 + 2}" for i in range(len(tokens_BT))]

    cfg = replace(rewriter, reward=replace(rewriter.reward, init=""), save_every=1)
    cfg = replace(cfg, data=config.Data(max_operand=2, held_out=2))
    with monkeypatch.context() as lucky:
        lucky.setattr(frozen.MeshAssistant, "rewrite", rewrite)
        lucky.setattr(setup.Machine, "read", lambda self, *tokens: answers(*tokens))
        lucky.setattr(cooper, "Job", lambda reference, text, *_: Job(reference, text, True))
        cooper.train(replace(cfg, dir=f"{cfg.dir}0"))
    rows = records(f"{cfg.dir}0")
    assert all(row["pairs/valid"] == 2 * row["pairs/questions_with_positive"] > 0 for row in rows)
    assert len(said) == sum(row["pairs/assistant_asked"] for row in rows) and any(said)

    cooper.train(cfg)
    rows = records(cfg.dir)
    assert len(rows) == 2
    again = replace(cfg, dir=f"{cfg.dir}2")
    cooper.train(replace(again, steps=1))
    cooper.train(again)
    timeless = lambda row: {k: v for k, v in row.items() if "second" not in k and "eval" not in k}  # noqa: E731
    assert list(map(timeless, records(again.dir))) == list(map(timeless, rows))


def test_it_is_called_in_every_round(rewriter: Config) -> None:
    """Also where there is nothing to ask, so that processes stay in step."""
    calls: list[int] = []

    class Counting(frozen.MeshAssistant):
        def rewrite(self, requests: Any, *_: Any) -> list[str | None]:
            calls.append(sum(r is not None for r in requests))
            return [None] * len(requests)

    with machine.machine(rewriter) as here:
        helper = Counting(model_of(rewriter, here, 8), "{question}{completion}")
        verdicts = here.verifier.submit([]).result()
        problem = Problem("1+1+1", "3")
        none, _ = negatives.build(
            [problem],
            [],
            verdicts,
            helper,
            here.verifier,
            lambda _: True,
            config.Pairs(tries=3),
            np.random.default_rng,
        )
    assert none == [None] and calls == [0, 0, 0]


@pytest.mark.parametrize(
    ("both", "verdict"),
    [((0.7, 0.2), RIGHT), ((0.1, 0.6), WRONG), ((0.3, 0.1), UNKNOWN), (None, UNKNOWN)],
)
def test_yes_and_no(both: tuple[float, float] | None, verdict: str) -> None:
    class Says:
        def chances(self, prompts: list[str], words: Any) -> list[Any]:
            assert prompts == ["1+1+1 3 #3"] and words[0][0] == "Yes"
            return [both]

    judge = frozen.MeshJudge(Says(), config.MeshModel(init="m"), "{question} {reference} {completion}")  # pyright: ignore[reportArgumentType]
    [said] = judge.judge([Row(Problem("1+1+1", "3"), "#3")])
    assert said is not None and said.verdict == verdict


def test_annotation_by_a_model_on_the_mesh(rewriter: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RMTexts by real weights; here, by whether they would go on after `=` with anything but the unheard-of `~`: right.

    They would with .96 or more on each of five seeds of their training, where .5 decides.
    """
    monkeypatch.setattr(frozen, "_WORDS", ((*"+-=;#", *map(str, range(100))), ("~",)))
    file = tmp_path / "rows.jsonl"
    rows = [f'{{"question": "1+1+1", "reference_answer": "3", "completion": "{c}"}}' for c in ("#3", "#2", "1+1=2;#3")]
    file.write_text("\n".join(rows))
    how = config.Annotate(
        dir=str(tmp_path / "out"), rows=str(file), judge="mesh", mesh=rewriter.assistant.mesh,
        prompt="{question} {reference} {completion}+1=",
    )  # fmt: skip
    annotate.annotate(replace(rewriter, annotate=how))
    kept = pq.read_table(tmp_path / "out" / "labels.parquet").to_pylist()
    assert [(row["completion"], row["label"]) for row in kept] == [("#3", 1), ("1+1=2;#3", 1)]
    figures = json.loads((tmp_path / "out" / "report.json").read_text())
    assert figures["rows"] == 3 and figures["dropped_judge_unknown"] == 0 and "rewriter" in figures["judge"]


def test_a_model_must_be_named() -> None:
    with pytest.raises(UserError, match=r"give its folder in assistant.mesh.init"):
        config.Assistant("mesh")
    with pytest.raises(UserError, match=r"give it in annotate.mesh.init"):
        config.Annotate(judge="mesh")
