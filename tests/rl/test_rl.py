"""Right equation? Every function of rl/ against a few lines of numpy, and against finite differences."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cooper_jax.config import GRPO
from cooper_jax.rl import grpo, hybrid, masked, pairs

B, T = 6, 5


@pytest.fixture
def batch(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Log-probs around old ones, advantages of both signs, completions of different lengths (one is empty)."""
    old = rng.normal(-1, 0.5, (B, T)).astype(np.float32)
    return {
        "old": old,
        "logp": old + rng.normal(0, 0.4, (B, T)).astype(np.float32),
        "ref": old + rng.normal(0, 0.4, (B, T)).astype(np.float32),
        "advantage": np.array([1.5, -2.0, 0.3, -0.1, 0.0, 2.0], np.float32),
        "real": np.arange(T)[None] < np.array([5, 3, 1, 4, 2, 0])[:, None],
    }


def slope(f: Callable[[np.ndarray], jax.Array], x: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient by autodiff and by central differences in float64, at the real tokens."""
    with jax.enable_x64(True):
        x = x.astype(np.float64)
        auto = np.asarray(jax.grad(lambda v: f(v))(jnp.asarray(x)))
        step, numeric = 1e-6, np.zeros_like(x)
        for place in np.ndindex(x.shape):
            up, down = x.copy(), x.copy()
            up[place] += step
            down[place] -= step
            numeric[place] = (float(f(up)) - float(f(down))) / (2 * step)
    return np.where(real, auto, 0), np.where(real, numeric, 0)


@pytest.mark.parametrize("std", ["group", "batch", "none"])
def test_advantages(std: str) -> None:
    reward = np.array([[0.0, 1.0, 1.0, 0.5], [0.5, 0.5, 0.5, 0.5], [0.9, 0.1, 0.2, 0.3]], np.float32)
    used = np.ones_like(reward, bool)
    got, stds = grpo.advantages(jnp.array(reward), jnp.array(used), GRPO(std=std, std_floor=0.05))  # pyright: ignore
    want = reward - reward.mean(axis=1, keepdims=True)
    if std == "group":
        want = want / np.maximum(reward.std(axis=1, ddof=1, keepdims=True), 0.05)
    elif std == "batch":
        want = want / reward.std(ddof=1)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stds, reward.std(axis=1, ddof=1), rtol=1e-5, atol=1e-7)


def test_near_equal_scores_stay_small() -> None:
    """A saturated reward model's differences of 1e-4 must not become full advantages."""
    reward = jnp.array([[0.9999, 0.9998, 0.9999, 0.9997]])
    got, _ = grpo.advantages(reward, jnp.ones_like(reward, bool), GRPO(std_floor=0.01))
    assert float(jnp.abs(got).max()) < 0.02


def test_truncated_choices() -> None:
    reward, finished = jnp.array([0.8, 0.6, 0.4]), jnp.array([True, False, True])
    for how, want, used in (
        ("mask", [0.8, 0.6, 0.4], [True, False, True]),
        ("zero", [0.8, 0.0, 0.4], [True] * 3),
        ("score", [0.8, 0.6, 0.4], [True] * 3),
    ):
        cfg = GRPO(truncated=how)  # pyright: ignore[reportArgumentType]
        np.testing.assert_allclose(grpo.truncate_rewards(reward, finished, cfg), want)
        assert grpo.used(finished, cfg).tolist() == used


def test_masked_rows_leave_the_group() -> None:
    reward = jnp.array([[1.0, 0.0, 0.7, 0.2]])
    used = jnp.array([[True, True, False, True]])
    got, _ = grpo.advantages(reward, used, GRPO())
    alone, _ = grpo.advantages(reward[:, jnp.array([0, 1, 3])], jnp.ones((1, 3), bool), GRPO())
    np.testing.assert_allclose(got[0, jnp.array([0, 1, 3])], alone[0], rtol=1e-6)
    assert got[0, 2] == 0


@pytest.mark.parametrize("how", ["token-mean", "sequence-mean", "dr-grpo"])
def test_aggregation(how: str, batch: dict[str, np.ndarray], rng: np.random.Generator) -> None:
    loss = rng.normal(size=(B, T)).astype(np.float32)
    used = np.array([True, True, False, True, True, True])
    rows = [loss[i][batch["real"][i]] for i in range(B) if used[i] and batch["real"][i].any()]
    want = {
        "token-mean": np.concatenate(rows).mean(),
        "sequence-mean": np.mean([row.mean() for row in rows]),
        "dr-grpo": sum(row.sum() for row in rows) / (len(rows) * T),
    }[how]
    weights = grpo.token_weights(jnp.array(batch["real"]), jnp.array(used), GRPO(aggregation=how))  # pyright: ignore
    np.testing.assert_allclose((weights * loss).sum(), want, rtol=1e-5)


def test_nothing_used_weighs_nothing(batch: dict[str, np.ndarray]) -> None:
    for how in ("token-mean", "sequence-mean", "dr-grpo"):
        weights = grpo.token_weights(jnp.array(batch["real"]), jnp.zeros(B, bool), GRPO(aggregation=how))
        assert not weights.any()


def reference_surrogate(
    ratio: np.ndarray, advantage: np.ndarray, low: float, high: float, dual: float | None
) -> np.ndarray:
    """PPO's clipped objective, written case by case."""
    out = np.zeros_like(ratio)
    for i, t in np.ndindex(ratio.shape):
        a, r = advantage[i], ratio[i, t]
        objective = min(r * a, float(np.clip(r, 1 - low, 1 + high)) * a)
        if dual is not None and a < 0:
            objective = max(objective, dual * a)
        out[i, t] = -objective
    return out


@pytest.mark.parametrize(
    "cfg", [GRPO(), GRPO(clip_low=0.1, clip_high=0.28), GRPO(dual_clip=1.3), GRPO(ratio="sequence", clip_low=0.02)]
)
def test_surrogate(cfg: GRPO, batch: dict[str, np.ndarray]) -> None:
    ratio = grpo.ratios(jnp.array(batch["logp"]), jnp.array(batch["old"]), jnp.array(batch["real"], int), cfg)
    drift = np.where(batch["real"], batch["logp"] - batch["old"], 0)
    want_ratio = np.exp(drift)
    if cfg.ratio == "sequence":
        lengths = np.maximum(batch["real"].sum(axis=1, keepdims=True), 1)
        want_ratio = np.where(batch["real"], np.exp(drift.sum(axis=1, keepdims=True) / lengths), 1.0)
    np.testing.assert_allclose(ratio, want_ratio, rtol=1e-5)
    loss, clipped = grpo.surrogate(ratio, jnp.array(batch["advantage"])[:, None], cfg)
    want = reference_surrogate(want_ratio, batch["advantage"], cfg.clip_low, cfg.clip_high, cfg.dual_clip)
    np.testing.assert_allclose(loss, want, rtol=1e-4, atol=1e-6)
    free = -want_ratio * batch["advantage"][:, None]
    np.testing.assert_array_equal(clipped, ~np.isclose(want, free, rtol=1e-5, atol=1e-7))
    assert clipped.any() and not clipped.all()


@pytest.mark.parametrize("cfg", [GRPO(), GRPO(dual_clip=1.3), GRPO(ratio="sequence", aggregation="sequence-mean")])
def test_surrogate_gradient(cfg: GRPO, batch: dict[str, np.ndarray]) -> None:
    weights = grpo.token_weights(jnp.array(batch["real"]), jnp.ones(B, bool), cfg)

    def loss(logp: np.ndarray) -> jax.Array:
        ratio = grpo.ratios(jnp.asarray(logp), jnp.array(batch["old"], logp.dtype), jnp.array(batch["real"], int), cfg)
        return jnp.sum(weights * grpo.surrogate(ratio, jnp.array(batch["advantage"])[:, None], cfg)[0])

    auto, numeric = slope(loss, batch["logp"], batch["real"])
    np.testing.assert_allclose(auto, numeric, atol=1e-6)
    assert np.abs(auto).max() > 1e-2


@pytest.mark.parametrize("name", ["k1", "k2", "k3"])
def test_kl(name: str, batch: dict[str, np.ndarray]) -> None:
    cfg = GRPO(kl=name)  # pyright: ignore
    d = batch["ref"] - batch["logp"]
    want = {"k1": -d, "k2": d**2 / 2, "k3": np.exp(d) - d - 1}[name]
    got = grpo.kl(jnp.array(batch["logp"]), jnp.array(batch["ref"]), cfg)
    np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-6)
    auto, numeric = slope(
        lambda logp: jnp.sum(grpo.kl(jnp.asarray(logp), jnp.array(batch["ref"], logp.dtype), cfg)),
        batch["logp"],
        batch["real"],
    )
    np.testing.assert_allclose(auto, numeric, atol=1e-6)


def test_kl_is_clamped() -> None:
    far = grpo.kl(jnp.array([[-60.0]]), jnp.array([[-1.0]]), GRPO())
    np.testing.assert_allclose(far, [[np.expm1(10.0) - 10.0]], rtol=1e-5)


def test_k3_estimates_the_divergence(rng: np.random.Generator) -> None:
    """Mean of k1 and of k3 over samples of p is KL(p || q)."""
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.5, 0.3])
    drawn = rng.choice(3, size=200_000, p=p)
    for name in ("k1", "k3"):
        got = grpo.kl(jnp.log(p[drawn])[None], jnp.log(q[drawn])[None], replace(GRPO(), kl=name)).mean()
        np.testing.assert_allclose(got, (p * np.log(p / q)).sum(), rtol=0.02)


def test_pair_losses(rng: np.random.Generator) -> None:
    right, wrong = rng.normal(size=8).astype(np.float32) * 3, rng.normal(size=8).astype(np.float32) * 3
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    want = -np.log(sigmoid(right - wrong))
    np.testing.assert_allclose(pairs.pair_loss(jnp.array(right), jnp.array(wrong)), want, rtol=1e-3)
    label = np.array([0, 1, 0, 1, 1, 0, 1, 0], np.float32)
    entropy = -label * np.log(sigmoid(right)) - (1 - label) * np.log(1 - sigmoid(right))
    np.testing.assert_allclose(pairs.cross_entropy(jnp.array(right), jnp.array(label)), entropy, rtol=1e-3)
    both = 0.7 * want + 0.3 * (-np.log(sigmoid(right)) - np.log(1 - sigmoid(wrong))) / 2
    np.testing.assert_allclose(pairs.anchored(jnp.array(right), jnp.array(wrong), 0.7, 0.3), both, rtol=1e-3)
    for f in (
        lambda x: jnp.sum(pairs.anchored(jnp.asarray(x), jnp.array(wrong, x.dtype), 1.0, 0.5)),
        lambda x: jnp.sum(pairs.anchored(jnp.array(right, x.dtype), jnp.asarray(x), 1.0, 0.5)),
        lambda x: jnp.sum(pairs.cross_entropy(jnp.asarray(x), jnp.array(label, x.dtype))),
    ):
        auto, numeric = slope(f, right, np.ones(8, bool))
        np.testing.assert_allclose(auto, numeric, atol=1e-6)


def test_losses_survive_large_logits() -> None:
    huge = jnp.array([200.0, -200.0])
    assert np.isfinite(pairs.pair_loss(huge, -huge)).all()
    assert np.isfinite(pairs.cross_entropy(huge, jnp.array([0.0, 1.0]))).all()


def test_masked_reductions(rng: np.random.Generator) -> None:
    x, mask = rng.normal(size=(4, 6)).astype(np.float32), rng.random((4, 6)) < 0.5
    np.testing.assert_allclose(masked.mean(jnp.array(x), jnp.array(mask)), x[mask].mean(), rtol=1e-5)
    np.testing.assert_allclose(masked.std(jnp.array(x), jnp.array(mask)), x[mask].std(ddof=1), rtol=1e-5)
    np.testing.assert_allclose((masked.mean_weights(jnp.array(mask)) * x).sum(), x[mask].mean(), rtol=1e-5)
    nothing = jnp.zeros((4, 6), bool)
    assert masked.mean(jnp.array(x), nothing) == 0 and masked.std(jnp.array(x), nothing) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.sampled_from([-1, 0, 1])), min_size=12, max_size=12))
def test_an_unknown_completion_stands_between_the_wrong_and_the_right(told: list[tuple[float, int]]) -> None:
    """Its score is its reward, in whatever company; a rule that knows all is the rule alone, to the bit."""
    score, verdict = np.array([s for s, _ in told], np.float32), np.array([v for _, v in told], np.int8)
    reward = np.asarray(hybrid.rewards(jnp.array(score), jnp.array(verdict)))
    assert reward.dtype == np.float32
    np.testing.assert_array_equal(reward[verdict < 0], score[verdict < 0])
    np.testing.assert_array_equal(reward[verdict >= 0], verdict[verdict >= 0])
    assert ((reward >= 0) & (reward <= 1)).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=8, max_size=8))
def test_both_classes_weigh_alike(labels: list[int]) -> None:
    label = np.array(labels, np.int32)
    weight = np.asarray(masked.balanced_weights(jnp.array(label)))
    assert (weight[label < 0] == 0).all()
    if {0, 1} <= set(labels):
        for each in (0, 1):
            np.testing.assert_allclose(weight[label == each], 0.5 / (label == each).sum(), rtol=1e-6)
    else:
        assert (weight == 0).all()
