"""Do packed rows give what padded ones give, on little padding?"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import ROLLOUT, G, P, S, T, close, run, trainee

from cooper_jax import config
from cooper_jax.config import GRPO, Model
from cooper_jax.device import jits, keys, loading, optim
from cooper_jax.device.state import Packing, PairBatch, Prompts, RMTexts, Rollout, Worked
from cooper_jax.host.text import encode, packing
from cooper_jax.model import heads

B = P * G
SCORE = jax.jit(heads.score, static_argnums=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 30), max_size=60), st.integers(30, 90), st.integers(0, 20), st.sampled_from([1, 4]))
def test_every_text_has_its_place(sizes: list[int], length: int, micro_batch: int, ways: int) -> None:
    """Whole, in one row, apart from the others; the first micro-batches are filled first; the worst case fits."""
    into = packing.shape(len(sizes), 30, length, micro_batch, ways)
    assert into.rows % into.parts == 0 and into.rows // into.parts % ways == 0
    texts = [np.full(size, 3 + i, np.int32) for i, size in enumerate(sizes)]
    token, segment, end = packing.rm_texts(texts, into, 0)
    assert token.shape == (into.rows, into.length) and (segment > 0).sum() == sum(sizes)
    for text, last in zip(texts, end.tolist(), strict=True):
        row, slot = divmod(last, into.length)
        here = slice(slot - len(text) + 1, slot + 1)
        np.testing.assert_array_equal(token[row, here], text)
        number = segment[row, slot]
        assert (np.flatnonzero(segment[row] == number) == np.arange(here.start, here.stop)).all()
    by_part = segment.reshape(-1, into.parts, into.length).swapaxes(0, 1)
    busy = [row.any() for part in by_part for row in part]
    assert busy == sorted(busy, reverse=True)
    packing.rm_texts([np.zeros(30, np.int32)] * len(sizes), into, 0)


def test_little_is_padding_on_skewed_lengths() -> None:
    """Log-normal lengths, one completion in twenty at the limit: over 90 % of the slots computed hold a token."""
    rng = np.random.default_rng(0)
    for _ in range(5):
        size_B = np.clip(rng.lognormal(5.5, 0.9, 512), 20, 2048).astype(int)
        size_B[::20] = 2048
        into = packing.shape(512, 2048, 4096, 16, 1)
        segment = packing.rm_texts([np.zeros(size, np.int32) for size in size_B], into, 0)[1]
        used = int(optim.used_parts(jnp.array(segment > 0), parts=into.parts))
        assert used < into.parts / 2
        assert (segment > 0).sum() / (used * into.rows / into.parts * into.length) > 0.9


def alone(params: Any, text: np.ndarray, cfg: Model) -> float:
    """The score of one text, by itself."""
    token, real = (jnp.array(x) for x in encode.pad([text], 12, 0))
    return float(SCORE(params, token, real, cfg)[0, len(text) - 1])


@pytest.mark.parametrize("micro_batch", [2, 4, 99])
def test_scores(tiny: Model, mesh: jax.sharding.Mesh, rng: np.random.Generator, micro_batch: int) -> None:
    params = loading.init_state(trainee(tiny), True, mesh, keys.key(0, keys.Use.ROLLOUT), 1).params
    texts = [rng.integers(3, tiny.vocab, size).astype(np.int32) for size in rng.integers(1, 13, 12)]
    into = packing.shape(12, 12, 24, micro_batch, 1)
    text = RMTexts(*packing.rm_texts(texts, into, 0), parts=into.parts)
    got = jits.make_logits(tiny, mesh)(params, text)
    np.testing.assert_allclose(got, [alone(params, t, tiny) for t in texts], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(jits.make_score(tiny, mesh)(params, text), jax.nn.sigmoid(got), rtol=1e-6)


@pytest.mark.parametrize(
    "micro_batch", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(99, marks=pytest.mark.slow)]
)
def test_the_reward_models_losses(
    tiny: Model, mesh: jax.sharding.Mesh, rng: np.random.Generator, micro_batch: int
) -> None:
    """Means over the pairs that there are, over the labelled texts and over each class of the judged ones, from each
    text's score by itself."""
    params = loading.init_state(trainee(tiny), True, mesh, keys.key(0, keys.Use.ROLLOUT), 1).params
    right, wrong, replay, judged = (
        [rng.integers(3, tiny.vocab, size).astype(np.int32) for size in rng.integers(1, 13, count)]
        for count in (5, 5, 7, 6)
    )
    labels, verdicts = np.array([1, 0, 0, 1, 1, 0, 1]), np.array([0, 0, 1, 0, 0, 0])
    into = packing.shape(8 + 4 + 3, 24, 24, micro_batch, 1)
    sides = list(zip(right, wrong, strict=True))
    batch = PairBatch(*packing.pairs(sides, replay, labels, into, 0, judged, verdicts), parts=into.parts)
    r, w, x, j = (np.array([alone(params, t, tiny) for t in some]) for some in (right, wrong, replay, judged))
    sigma = lambda s: 1 / (1 + np.exp(-s))  # noqa: E731
    cross = -np.where(labels == 1, np.log(sigma(x)), np.log(sigma(-x))).mean()
    anchor = -(np.log(sigma(r)) + np.log(sigma(-w))).mean() / 2

    balanced = -(np.log(sigma(j[verdicts == 1])).mean() + np.log(sigma(-j[verdicts == 0])).mean()) / 2
    cfg = config.Pairs(anchor=0.3, replay=0.5, replay_rows=7, labels=0.7)
    state = loading.init_state(trainee(tiny), True, mesh, keys.key(0, keys.Use.ROLLOUT), 10)
    _, metrics = run(jits.make_reward_update(trainee(tiny), cfg, 10, mesh), state, batch, mesh)
    want = -np.log(sigma(r - w)).mean() + 0.3 * anchor + 0.5 * cross + 0.7 * balanced
    np.testing.assert_allclose(metrics["label_loss"], balanced, rtol=1e-4)
    np.testing.assert_allclose(metrics["loss"], want, rtol=1e-4)
    np.testing.assert_allclose(metrics["margin"], (r - w).mean(), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], (r > w).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["right"], sigma(r).mean(), rtol=1e-4)

    into = packing.shape(4, 24, 24, micro_batch, 1)
    batch = PairBatch(*packing.pairs([], replay, labels, into, 0), parts=into.parts)
    _, metrics = run(jits.make_fit_update(trainee(tiny), 10, mesh), state, batch, mesh)
    np.testing.assert_allclose(metrics["loss"], cross, rtol=1e-4)
    np.testing.assert_allclose(metrics["accuracy"], ((x > 0) == (labels == 1)).mean(), rtol=1e-5)


@pytest.mark.parametrize(
    "cfg",
    [
        GRPO(kl_weight=0.1),
        pytest.param(GRPO(ratio="sequence", clip_low=0.01, clip_high=0.01, kl_weight=0.0), marks=pytest.mark.slow),
        pytest.param(
            GRPO(aggregation="sequence-mean", dual_clip=1.5, truncated="mask", kl_weight=0.0), marks=pytest.mark.slow
        ),
        pytest.param(GRPO(aggregation="dr-grpo", std="none", kl_weight=0.0), marks=pytest.mark.slow),
    ],
    ids=["kl", "gspo", "sequence-mean", "dr-grpo"],
)
def test_the_policys_update(tiny: Model, mesh: jax.sharding.Mesh, rng: np.random.Generator, cfg: GRPO) -> None:
    """Advantages, reference log-probs, loss, metrics and gradients: packed, and with prompts shared and padding."""
    length_B = np.where(np.arange(B) % 5, rng.integers(1, 4, B), T)
    prompts = Prompts(
        rng.integers(3, tiny.vocab, (P, S)).astype(np.int32), np.arange(S)[None] >= rng.integers(0, S - 1, P)[:, None]
    )
    real = np.arange(T)[None] < length_B[:, None]
    rolled = Rollout(
        prompts, rng.integers(3, tiny.vocab, (B, T)).astype(np.int32),
        np.where(real, rng.normal(-4, 0.3, (B, T)), 0.0).astype(np.float32), real, length_B < T,
    )  # fmt: skip
    rolled, reward_B = jax.tree.map(jnp.array, (rolled, rng.random(B).astype(np.float32)))
    policy = trainee(tiny)
    reference = (
        loading.init_state(policy, False, mesh, keys.key(1, keys.Use.ROLLOUT), 10).params if cfg.kl_weight else None
    )
    results = []
    prepare = jits.make_prepare(policy, cfg, ROLLOUT, mesh)
    advantages = jits.make_advantages(policy.micro_batch, cfg, ROLLOUT, mesh)
    for micro_batch in (None, 2, 2 * B) if cfg.kl_weight else (None, 4):
        places = None
        if micro_batch:
            into = packing.shape(B, S + T, 2 * (S + T), micro_batch, 1)
            places = Packing(
                *map(jnp.array, packing.completions(np.asarray(prompts.real_PS), real, into)), parts=into.parts
            )
        advantage_PGT, figures = advantages(rolled, reward_B, places)
        batch = replace(prepare(reference, rolled, places), advantage_PGT=advantage_PGT)
        state = loading.init_state(policy, False, mesh, keys.key(0, keys.Use.ROLLOUT), 10)
        moved, metrics = run(jits.make_policy_update(policy, cfg, 1.0, 10, mesh), state, batch, mesh)
        filled = metrics.pop("slots_filled")
        assert filled <= 1
        if micro_batch:
            assert int(batch.real_PGT.sum()) == int(real.sum())
            assert int((batch.segment_PGT > 0).sum()) == int(real.sum() + prompts.real_PS.sum() * G)
        ref = np.sort(np.asarray(batch.ref_logp_PGT)[np.asarray(batch.real_PGT)])
        results.append((figures, metrics, moved.opt_state, ref))
    for result in results[1:]:
        close(results[0], result, atol=2e-5)
    assert results[0][1]["clip_fraction"] > 0


def test_micro_batches_that_hold_nothing_are_not_computed(tiny: Model) -> None:
    """Three texts in the room of sixty-four: the loop runs once."""
    ran: list[int] = []
    rows, parts = jnp.arange(16.0)[:, None], 8
    mask = jnp.array([i % parts < 1 for i in range(16)])[:, None]

    def fn(part: jax.Array) -> jax.Array:
        jax.debug.callback(lambda: ran.append(1))
        return part + 1

    used = optim.used_parts(mask, parts)
    out = jax.jit(lambda x: optim.in_parts(fn, x, parts, used))(rows)
    jax.effects_barrier()
    assert int(used) == 1 and len(ran) == 1
    np.testing.assert_array_equal(out, jnp.where(mask, rows + 1, 0))
    assert int(optim.used_parts(mask & False, parts)) == 0
    assert replace(Packing(rows, rows), parts=3).parts == 3


@pytest.mark.parametrize("micro_batch", [2, 99])
def test_worked_answers(tiny: Model, mesh: jax.sharding.Mesh, rng: np.random.Generator, micro_batch: int) -> None:
    """Loss and gradients packed are those side by side; so is the held-out sum. Prompts do not count."""
    some = lambda most: rng.integers(3, tiny.vocab, rng.integers(1, most)).astype(np.int32)  # noqa: E731
    texts = [(some(6), some(7)) for _ in range(9)]
    prompt, prompt_real = (x[:, ::-1].copy() for x in encode.pad([p[::-1] for p, _ in texts], 6, 0))
    apart = Worked(prompt, prompt_real, *encode.pad([c for _, c in texts], 7, 0))
    into = packing.shape(9, 13, 32, micro_batch, 1)
    token, segment, real = packing.worked(texts, into, 0)
    assert real.sum() == sum(len(c) for _, c in texts) and sorted(token[real]) == sorted(
        np.concatenate([c for _, c in texts])
    )
    nothing = token[:, :0]
    together = Worked(nothing, nothing.astype(bool), token, real, segment, into.parts)
    state = loading.init_state(trainee(tiny), False, mesh, keys.key(0, keys.Use.ROLLOUT), 10)
    update = jits.make_sft_update(trainee(tiny), 10, mesh)
    (a, one), (b, other) = (run(update, state, batch, mesh) for batch in (apart, together))
    close(a.params, b.params, atol=1e-4)
    for name in ("loss", "entropy", "grad_norm"):
        np.testing.assert_allclose(other[name], one[name], rtol=1e-4)
    assert 0 < other["slots_filled"] <= 1
    with jax.set_mesh(mesh):
        loss, tokens = jits.make_surprise(tiny, mesh)(state.params, together)
    assert int(tokens) == real.sum()
    np.testing.assert_allclose(float(loss) / int(tokens), one["loss"], rtol=1e-4)
