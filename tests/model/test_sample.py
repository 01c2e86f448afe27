"""Right samples? The same tokens for the same seed, the right distribution, the log-probs the trainer computes."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cooper_jax import config
from cooper_jax.config import Model
from cooper_jax.mesh import sharding
from cooper_jax.model import heads, sample, transformer, weights
from cooper_jax.model.sample import Sampling

P, G, S, T = 2, 4, 5, 12
STOP, PAD = 2, 0
PLAIN = Sampling(group=G, length=T, temperature=1.0, top_p=1.0, top_k=0, stop=(STOP,), pad=PAD)


@pytest.fixture
def params(tiny: Model) -> Any:
    """Random weights, sharpened so that the stop token comes up now and then."""
    tree = weights.init(tiny, False, jax.random.key(0))
    return tree | {"embed": 2 * tree["embed"]}


@pytest.fixture
def prompts(rng: np.random.Generator, tiny: Model) -> tuple[jax.Array, jax.Array]:
    real = jnp.array([[False, False, True, True, True], [True] * 5])
    return jnp.array(rng.integers(3, tiny.vocab, (P, S))), real


def draw(params: Any, prompts: Any, seed: int, cfg: Model, how: Sampling = PLAIN) -> sample.Sampled:
    return jax.jit(sample.sample, static_argnums=(4, 5))(params, *prompts, jax.random.key(seed), how, cfg)


@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_captured_log_probs_are_the_trainers(params: Any, prompts: Any, tiny: Model, temperature: float) -> None:
    drawn = draw(params, prompts, 0, tiny, PLAIN._replace(temperature=temperature))
    logp, _ = heads.completion_logp(params, prompts[0], prompts[1], drawn.token_BT.reshape(P, G, T), temperature, tiny)
    np.testing.assert_allclose(jnp.where(drawn.real_BT, logp, 0), drawn.logp_BT, atol=2e-5)
    assert (drawn.logp_BT[drawn.real_BT] < 0).all()


def test_seeds(params: Any, prompts: Any, tiny: Model) -> None:
    """Same seed, same tokens; another seed, others; rows of a group and steps of a row differ."""
    first, again, other = (draw(params, prompts, seed, tiny).token_BT for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert len({tuple(row) for row in first.tolist()}) == P * G
    assert all(len(set(column)) > 1 for column in first.T.tolist())


def test_stop_token_ends_a_row(params: Any, prompts: Any, tiny: Model) -> None:
    """The stop token is real; after it there is padding without log-prob; unfinished rows are full."""
    stops = tuple(range(30))  # many, so that some rows end and some do not
    drawn = jax.device_get(draw(params, prompts, 3, tiny, PLAIN._replace(stop=stops)))
    assert drawn.finished_B.any() and not drawn.finished_B.all()
    for token, real, logp, finished in zip(drawn.token_BT, drawn.real_BT, drawn.logp_BT, drawn.finished_B, strict=True):
        length = int(real.sum())
        assert real[:length].all() and not real[length:].any()
        assert (token[length:] == PAD).all() and (logp[length:] == 0).all()
        assert not np.isin(token[: length - 1], stops).any()
        assert bool(np.isin(token[length - 1], stops)) == bool(finished)
        assert finished or length == T


def test_greedy_is_the_argmax_of_the_full_pass(params: Any, prompts: Any, tiny: Model) -> None:
    drawn = draw(params, prompts, 0, tiny, PLAIN._replace(temperature=0.0))
    rows = jnp.concatenate([jnp.repeat(prompts[0], G, axis=0), drawn.token_BT], axis=1)
    real = jnp.concatenate([jnp.repeat(prompts[1], G, axis=0), drawn.real_BT], axis=1)
    from cooper_jax.model.transformer import forward

    logits = heads.logits(params, forward(params, rows, real, tiny), tiny)[:, S - 1 : -1]
    best = jnp.argmax(logits, axis=-1)
    assert (best == drawn.token_BT)[drawn.real_BT].all()
    np.testing.assert_array_equal(drawn.token_BT[0], drawn.token_BT[1])


def test_frequencies_follow_the_filtered_distribution() -> None:
    """50,000 draws each of: plain, tempered, top-k, nucleus, both."""
    probs = np.array([0.4, 0.25, 0.2, 0.1, 0.05])
    logits = jnp.broadcast_to(jnp.log(jnp.array(probs)), (1, 50_000, 5))
    hot = probs**2 / (probs**2).sum()
    for change, want in (
        ({}, probs),
        ({"temperature": 0.5}, hot),
        ({"top_k": 2}, probs * [1, 1, 0, 0, 0] / 0.65),
        ({"top_p": 0.5}, probs * [1, 1, 0, 0, 0] / 0.65),
        ({"top_p": 0.66}, probs * [1, 1, 1, 0, 0] / 0.85),
        ({"top_p": 0.01}, [1, 0, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.7}, probs * [1, 1, 0, 0, 0] / 0.65),
    ):
        how = PLAIN._replace(**change)
        token, logp = sample.next_token(logits, jax.random.uniform(jax.random.key(1), (2, 1, 50_000)), how)
        got = np.bincount(np.asarray(token[0]), minlength=5) / 50_000
        np.testing.assert_allclose(got, want, atol=0.01, err_msg=str(change))
        unfiltered = hot if change.get("temperature") else probs
        np.testing.assert_allclose(logp[0], np.log(unfiltered)[np.asarray(token[0])], rtol=1e-4)


@pytest.mark.slow
def test_untied_and_bfloat16_sample_too(prompts: Any, tiny: Model) -> None:
    cfg = replace(tiny, tied=False, dtype="bfloat16", remat="full")
    params = weights.init(cfg, False, jax.random.key(0))
    drawn = draw(params, prompts, 0, cfg)
    logp, _ = heads.completion_logp(params, prompts[0], prompts[1], drawn.token_BT.reshape(P, G, T), 1.0, cfg)
    np.testing.assert_allclose(jnp.where(drawn.real_BT, logp, 0), drawn.logp_BT, atol=0.1)


def test_an_int8_cache_samples_nearly_the_same(params: Any, prompts: Any, tiny: Model) -> None:
    """Its log-probs are close to the trainer's, and not equal."""
    drawn = draw(params, prompts, 0, tiny, PLAIN._replace(int8=True))
    logp, _ = heads.completion_logp(params, prompts[0], prompts[1], drawn.token_BT.reshape(P, G, T), 1.0, tiny)
    gap = jnp.abs(jnp.where(drawn.real_BT, logp - drawn.logp_BT, 0))
    assert 1e-5 < gap.max() < 0.1


def test_weights_are_cast_once(tiny: Model, prompts: Any) -> None:
    """Decoding reads weights in the compute type: no loop takes those of the trainer, which are twice as wide."""
    cfg = replace(tiny, dtype="bfloat16")
    params = weights.init(cfg, False, jax.random.key(0))
    jaxpr = jax.make_jaxpr(sample.sample, static_argnums=(4, 5))(params, *prompts, jax.random.key(0), PLAIN, cfg)
    wide = {params["blocks"][name].shape for name in ("q", "o", "up", "down")} | {params["embed"].shape}
    loops = [eqn for eqn in jaxpr.eqns if eqn.primitive.name in ("while", "scan")]
    assert len(loops) >= 2
    for eqn in loops:
        read = [v.aval for v in eqn.invars if v.aval.shape in wide]
        assert read and all(aval.dtype == jnp.bfloat16 for aval in read)


@pytest.mark.parametrize("group", [8, 1], ids=["all-rows", "rows-brought-together"])
def test_caches_are_written_in_place(tiny: Model, group: int) -> None:
    """The compiled loops copy no layer's cache: one more token in every row takes the memory of its keys and values
    and little else, where a copy of one of the four arrays of keys or values would take a quarter more. As measured:
    4 % more as it is, 53 % with layers read out of a stack."""
    cfg = replace(tiny, head_dim=32)
    params = jax.eval_shape(lambda: weights.init(cfg, False, jax.random.key(0)))
    prompts = [jax.ShapeDtypeStruct((8, S), kind) for kind in (jnp.int32, jnp.bool)]
    sampling = jax.jit(sample.sample, static_argnums=(4, 5))

    def held(length: int) -> int:
        how = PLAIN._replace(group=group, length=length)
        memory = sampling.lower(params, *prompts, jax.random.key(0), how, cfg).compile().memory_analysis()
        assert memory is not None
        return memory.temp_size_in_bytes

    keys_and_values = 8 * group * 2 * cfg.layers * cfg.kv_heads * cfg.head_dim * 4
    assert 1 <= (held(1025) - held(513)) / 512 / keys_and_values < 1.15


@pytest.mark.parametrize("axes", [config.Mesh(1, 1, 1), config.Mesh(1, 2, 1), config.Mesh(2, 2, 2)], ids=str)
def test_turns_change_nothing(tiny: Model, rng: np.random.Generator, axes: config.Mesh) -> None:
    """All prompts at once, in two turns and in four: the same tokens, log-probs and ends, on any mesh."""
    cfg = replace(tiny, vocab=120)
    params = weights.init(cfg, False, jax.random.key(0))
    real = jnp.arange(S)[None] >= jnp.arange(16)[:, None] % 3
    prompts = (jnp.array(rng.integers(3, cfg.vocab, (16, S))), real)
    how = PLAIN._replace(length=24, stop=tuple(range(24)))
    once = jax.device_get(draw(params, prompts, 1, cfg, how))
    mesh = sharding.make_mesh(axes, jax.devices()[: axes.data * axes.fsdp * axes.tensor])
    for turns in (2, 4):
        with jax.set_mesh(mesh):
            rows = jax.device_put(prompts, sharding.by_rows(mesh))
            held = jax.device_put(params, sharding.replicated(mesh))
            drawn = jax.device_get(draw(held, rows, 1, cfg, how._replace(turns=turns)))
        assert_the_same(drawn, once)


def test_the_cache_is_that_of_a_turn(tiny: Model) -> None:
    """What a program of four turns holds beside its arguments: a quarter of the cache, which each turn takes anew."""
    cfg = replace(tiny, head_dim=32)
    params = jax.eval_shape(lambda: weights.init(cfg, False, jax.random.key(0)))
    prompts = [jax.ShapeDtypeStruct((16, 512), kind) for kind in (jnp.int32, jnp.bool)]
    cache = 16 * (512 + 8 * 1023) * 2 * cfg.layers * cfg.kv_heads * cfg.head_dim * 4

    def held(turns: int) -> int:
        how = PLAIN._replace(group=8, length=1024, turns=turns)
        sampling = jax.jit(sample.sample, static_argnums=(4, 5))
        memory = sampling.lower(params, *prompts, jax.random.key(0), how, cfg).compile().memory_analysis()
        assert memory is not None
        return memory.temp_size_in_bytes

    once, two, four = map(held, (1, 2, 4))
    assert once > cache and once - two > 0.4 * cache and two - four > 0.2 * cache


def test_frequencies_over_a_large_vocabulary() -> None:
    """Several blocks, one of them all zeros and the last not full: 90,000 draws against their probabilities."""
    logits = jax.random.normal(jax.random.key(0), (1000,)) * 2
    logits = jnp.where((jnp.arange(1000) >= 256) & (jnp.arange(1000) < 384), -1e30, logits)
    even = (jnp.arange(300) + 0.5) / 300
    wanted = jax.nn.softmax(logits)
    fall = jax.jit(lambda first: sample._fall(
        jnp.broadcast_to(wanted, (1, 300, 1000)), jnp.stack([jnp.broadcast_to(first, 300), even])[:, None]
    ))  # fmt: skip
    token = np.concatenate([np.asarray(fall(first))[0] for first in even])
    got = np.bincount(token, minlength=1000) / 90_000
    np.testing.assert_allclose(got, wanted, atol=4e-3)
    np.testing.assert_allclose(got[384:512].sum(), wanted[384:512].sum(), atol=4e-3)
    for edge in (0.0, 1 - 2**-24):
        token, _ = sample.next_token(logits[None, None], jnp.full((2, 1, 1), edge, jnp.float32), PLAIN)
        assert jax.nn.softmax(logits)[token[0, 0]] > 0


@pytest.mark.parametrize("p, g", [(2, 4), (8, 8), (3, 7)])
def test_rows_left_behind_change_nothing(tiny: Model, p: int, g: int, rng: np.random.Generator) -> None:
    """With and without bringing the rows together that go on: the same tokens, log-probs, ends."""
    params = weights.init(tiny, False, jax.random.key(0))
    real = jnp.arange(S)[None] >= jnp.arange(p)[:, None] % 3
    prompts = (jnp.array(rng.integers(3, tiny.vocab, (p, S))), real)
    how = PLAIN._replace(group=g, length=40, stop=tuple(range(12)))
    packed, plain = (jax.device_get(draw(params, prompts, 1, tiny, how._replace(compact=c))) for c in (True, False))
    assert_the_same(packed, plain)


def test_rows_left_behind_on_a_mesh(tiny: Model, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with rows brought together on each of four shards, out of stacks of layers, as anywhere but on CPU."""
    cfg = replace(tiny, vocab=120)
    params = weights.init(cfg, False, jax.random.key(0))
    prompts = (jnp.array(rng.integers(3, cfg.vocab, (32, S))), jnp.ones((32, S), bool))
    how = PLAIN._replace(group=8, length=16, stop=tuple(range(24)))
    plain = jax.device_get(draw(params, prompts, 1, cfg, how._replace(compact=False)))
    monkeypatch.setattr(transformer, "as_decoded", lambda tree, cfg: tree)
    mesh = sharding.make_mesh(config.Mesh(2, 2, 2))
    with jax.set_mesh(mesh):
        rows = jax.device_put(prompts, sharding.by_rows(mesh))
        packed = jax.device_get(draw(jax.device_put(params, sharding.replicated(mesh)), rows, 1, cfg, how))
    assert_the_same(packed, plain)


def assert_the_same(packed: sample.Sampled, plain: sample.Sampled) -> None:
    """Of completions some of which end long after most."""
    lengths = plain.real_BT.sum(axis=1)
    assert lengths.max() > 1.5 * np.median(lengths)
    np.testing.assert_array_equal(packed.token_BT, plain.token_BT)
    np.testing.assert_array_equal(packed.real_BT, plain.real_BT)
    np.testing.assert_array_equal(packed.finished_B, plain.finished_B)
    np.testing.assert_allclose(packed.logp_BT, plain.logp_BT, atol=1e-5)


def test_the_nucleus_is_that_of_sorting() -> None:
    """The fewest likeliest entries that reach top_p, with all that tie with the last, as by sorting (numpy)."""
    rng = np.random.default_rng(0)
    for top_p in (0.1, 0.5, 0.9, 0.999):
        weight = np.exp(rng.normal(0, 3, (3, 4, 500))).round(2).astype(np.float32)
        weight /= weight.max(axis=-1, keepdims=True)
        ordered = -np.sort(-weight.astype(np.float64), axis=-1)
        before = ordered.cumsum(axis=-1) - ordered
        inside = before < top_p * ordered.sum(axis=-1, keepdims=True) * (1 - 1e-9)
        least = np.where(inside, ordered, np.inf).min(axis=-1, keepdims=True)
        got = np.asarray(sample._least(weight, top_p))
        # Rounding of the sums may move the edge by one entry of all.
        kept, wanted = (weight >= got).sum(axis=-1), (weight >= least).sum(axis=-1)
        assert (kept != wanted).sum() <= 1 and np.abs(kept - wanted).max() <= 2
