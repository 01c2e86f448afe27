"""The loop of every training program: nothing compiles after the first step, and a profile shows where time goes."""

import gzip
import json
import logging
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cooper_jax import config
from cooper_jax.config import Config
from cooper_jax.device.state import CooperState, ModelState, RMTexts
from cooper_jax.mesh import hosts, sharding
from cooper_jax.run import loop
from cooper_jax.run import timeline as profile
from cooper_jax.run.compiled import Once, Recompiled
from cooper_jax.run.timeline import Timeline


@jax.jit
def update(state: ModelState, batch: RMTexts) -> ModelState:
    return ModelState(state.updates + 1, {"w": state.params["w"] + batch.token_RU.sum()}, {})


@jax.jit
def measure(params: dict[str, jax.Array]) -> jax.Array:
    return params["w"].sum()


def run(
    cfg: Config, mesh: jax.sharding.Mesh, rows: list[int], timelines: list[Timeline] | None = None
) -> list[dict[str, float]]:
    """`loop.run` over steps on batches of so many rows each; an evaluation and a checkpoint every second step."""
    state: Any = sharding.put(ModelState(np.int32(0), {"w": np.zeros(3, np.float32)}, {}), mesh)

    def step_fn(state: CooperState, step: int, timeline: Timeline) -> tuple[CooperState, dict[str, Any]]:
        if timelines is not None:
            timelines.append(timeline)
        with timeline.host("encode"):
            token = np.ones((rows[step], 5), np.int32)
            batch = sharding.put(RMTexts(token, token, np.zeros(rows[step], np.int32)), mesh)
        policy = update(state.policy, batch)
        timeline.device("policy", policy)
        with timeline.host("assistant"):
            time.sleep(0.01)
        return CooperState(policy, None), {"loss": policy.params["w"][0]}

    fields = {"models": {}, "tokenizers": {}, "trouble": hosts.Trouble(), "mesh": mesh}
    here: Any = SimpleNamespace(cfg=replace(cfg, save_every=2), **fields)
    evaluate = lambda state: {"eval/w": float(measure(state.policy.params))}  # noqa: E731
    with jax.set_mesh(mesh):
        training = loop.Training(
            program="train",
            dir=cfg.dir,
            steps=len(rows),
            fresh=lambda: CooperState(state, None),
            resumed=lambda: CooperState(state, None),
            step_fn=step_fn,
            evaluate=evaluate,
            eval_every=2,
            shown=("loss",),
        )
        loop.run(training, here)
    return [json.loads(line) for line in (Path(cfg.dir) / "metrics.jsonl").read_text().splitlines()]


def test_a_changed_shape_ends_the_run(tiny_config: Config, mesh: jax.sharding.Mesh) -> None:
    """The error names step, function, argument and both shapes; steps, evaluations and checkpoints that compile the
    first time are none."""
    assert len(run(tiny_config, mesh, [8, 8, 8, 8, 8])) == 5
    other = replace(tiny_config, dir=tiny_config.dir + "2")
    with pytest.raises(Recompiled) as error:
        run(other, mesh, [8, 8, 7, 8])
    said = str(error.value)
    assert said.startswith("step 3 compiled jit(update) anew.") and "test_loop.py" in said
    assert "batch.token_RU, now i32[7,5] and before i32[8,5]" in said
    assert len((Path(other.dir) / "metrics.jsonl").read_text().splitlines()) == 2


def test_other_shardings_are_named_too() -> None:
    """The second batch has the shape of the first and lies elsewhere: traced once, compiled twice."""
    everywhere = sharding.make_mesh(config.Mesh())
    split, whole = (jax.device_put(np.ones(8), how(everywhere)) for how in (sharding.by_rows, sharding.replicated))
    double, once = jax.jit(lambda x_B: 2 * x_B), Once()
    with once("step", 1):
        double(split)
    with pytest.raises(Recompiled, match=r"(?s)step 2 compiled jit\(.lambda.\) anew.*shardings"), once("step", 2):
        double(whole)
    with once("step", 3):
        double(whole)


def test_an_error_that_another_shape_leads_to_says_so() -> None:
    double, once = jax.jit(lambda x_B: 2 * x_B), Once()
    with once("step", 1):
        double(np.ones(8))
    with pytest.raises(ValueError, match="broadcast") as error, once("step", 2):
        np.add(np.ones(8), np.asarray(double(np.ones(7))))
    [note] = error.value.__notes__
    assert note.startswith("step 2 compiled") and "x_B, now f32[7] and before f32[8]" in note


def test_what_else_jax_says_is_not_swallowed(capsys: pytest.CaptureFixture[str], caplog: Any) -> None:
    once = Once()
    with once("step", 1):
        pass
    with once("step", 2):
        logging.getLogger("jax._src.anything").warning("the roof is on fire")
    assert "the roof is on fire" in caplog.text + capsys.readouterr().err
    assert logging.getLogger("jax").handlers == []


def test_a_profile(tiny_config: Config, mesh: jax.sharding.Mesh, capsys: pytest.CaptureFixture[str]) -> None:
    """Steps 3 and 4 are watched: a trace with the names of the phases, a picture, and spans in order."""
    timelines: list[Timeline] = []
    records = run(replace(tiny_config, profile=2), mesh, [8] * 5, timelines)
    folder = Path(tiny_config.dir) / "profile"
    assert f"{folder}/timeline.png shows steps 3 to 4" in capsys.readouterr().out
    assert (folder / "timeline.png").read_bytes().startswith(b"\x89PNG")
    [trace] = folder.rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    names = [event.get("name") for event in events]
    assert names.count("step") == 2 and names.count("encode") == 2 and names.count("assistant") == 2

    for timeline, record in zip(timelines, records, strict=True):
        spans, (begun, ended) = timeline.spans(), timeline.extent()
        assert [span.phase for span in spans if span.row == "host"][:2] == ["encode", "assistant"]
        assert [span.phase for span in spans if span.row == "device"] == ["policy"]
        assert all(span.begun <= span.ended <= ended for span in spans) and begun < ended
        assert record["seconds/assistant"] >= 0.01
        np.testing.assert_allclose(record["seconds/step"], ended - begun)
    for row in ("device", "host"):  # neither does two things at a time
        spans = sorted((s for t in timelines for s in t.spans() if s.row == row), key=lambda span: span.begun)
        assert all(a.ended <= b.begun for a, b in pairwise(spans))
    assert 0 < profile.idle(timelines) < 1


def test_a_profile_of_too_short_a_run(
    tiny_config: Config, mesh: jax.sharding.Mesh, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = replace(tiny_config, profile=3)
    run(replace(cfg, dir=cfg.dir + "2"), mesh, [8, 8])
    assert "no step was watched; the first to be watched is step 3" in capsys.readouterr().out
    run(cfg, mesh, [8, 8, 8])
    assert "timeline.png shows steps 3 to 3" in capsys.readouterr().out


def test_the_log_of_a_step_waits_for_that_step_alone() -> None:
    """The device may be busy with the next one: the host goes on."""
    first = Timeline()
    first.device("policy", jnp.zeros(3))
    second = Timeline(after=first)
    second._watcher.submit(time.sleep, 5)
    begun = time.perf_counter()
    assert "seconds/policy" in first.seconds()
    assert time.perf_counter() - begun < 4
