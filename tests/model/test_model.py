"""Right network? Cached decoding is the full pass, only the past is seen, padding, chunks and remat change nothing."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cooper_jax.config import Model
from cooper_jax.model import attention, heads, transformer, weights

B, T = 3, 10


@pytest.fixture
def params(tiny: Model) -> Any:
    """Random weights with biases and scales that are not zero and one."""
    tree = weights.init(tiny, False, jax.random.key(0))
    leaves, treedef = jax.tree.flatten(tree)
    noise = jax.random.split(jax.random.key(1), len(leaves))
    return treedef.unflatten([x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, noise, strict=True)])


@pytest.fixture
def tokens(rng: np.random.Generator, tiny: Model) -> jax.Array:
    return jnp.array(rng.integers(0, tiny.vocab, (B, T)))


def reference_forward(params: Any, tokens: np.ndarray, cfg: Model) -> np.ndarray:
    """The decoder for one unpadded row, head by head and position by position, in float64."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    norm = lambda x, scale: x / np.sqrt((x**2).mean() + cfg.norm_eps) * scale  # noqa: E731

    def turn(x: np.ndarray, position: int) -> np.ndarray:
        half = cfg.head_dim // 2
        out = np.empty_like(x)
        for i in range(half):
            angle = position * cfg.rope_theta ** (-2 * i / cfg.head_dim)
            out[i] = x[i] * np.cos(angle) - x[i + half] * np.sin(angle)
            out[i + half] = x[i + half] * np.cos(angle) + x[i] * np.sin(angle)
        return out

    x = p["embed"][tokens]
    for layer in range(cfg.layers):
        w = {name: value[layer] for name, value in p["blocks"].items()}
        h = [norm(row, w["attn_norm"]) for row in x]
        out = np.zeros_like(x)
        for n in range(cfg.heads):
            k = n // (cfg.heads // cfg.kv_heads)
            queries = [turn(h[t] @ w["q"][:, n] + w["q_bias"][n], t) for t in range(len(x))]
            keys = [turn(h[t] @ w["k"][:, k] + w["k_bias"][k], t) for t in range(len(x))]
            values = [h[t] @ w["v"][:, k] + w["v_bias"][k] for t in range(len(x))]
            for t in range(len(x)):
                logit = np.array([queries[t] @ keys[s] for s in range(t + 1)]) / np.sqrt(cfg.head_dim)
                share = np.exp(logit - logit.max())
                out[t] += sum(a * v for a, v in zip(share / share.sum(), values, strict=False)) @ w["o"][n]
        x = x + out
        for t in range(len(x)):
            h_t = norm(x[t], w["mlp_norm"])
            gate = h_t @ w["gate"]
            x[t] = x[t] + (gate / (1 + np.exp(-gate)) * (h_t @ w["up"])) @ w["down"]
    return np.stack([norm(row, p["final_norm"]) for row in x])


def test_forward_is_the_reference(params: Any, tokens: jax.Array, tiny: Model) -> None:
    got = transformer.forward(params, tokens, jnp.ones((B, T), bool), tiny)
    for row in range(B):
        np.testing.assert_allclose(got[row], reference_forward(params, np.asarray(tokens[row]), tiny), atol=2e-5)


def test_padding_is_not_seen(params: Any, tokens: jax.Array, tiny: Model) -> None:
    """Left or right padding, whatever it holds, leaves the real positions as they were."""
    plain = transformer.forward(params, tokens, jnp.ones((B, T), bool), tiny)
    for before, after in ((4, 0), (0, 3), (2, 5)):
        padded = jnp.pad(tokens, ((0, 0), (before, after)), constant_values=7)
        real = jnp.pad(jnp.ones((B, T), bool), ((0, 0), (before, after)))
        got = transformer.forward(params, padded, real, tiny)
        assert np.isfinite(got).all()
        np.testing.assert_allclose(got[:, before : before + T], plain, atol=1e-5)


def test_only_the_past_is_seen(params: Any, tokens: jax.Array, tiny: Model) -> None:
    """The gradient of the state at t reaches exactly the embeddings of 0..t."""
    t = 5

    def state(table: jax.Array) -> jax.Array:
        distinct = jnp.arange(T)[None]  # one embedding row a position
        return jnp.sum(transformer.forward(params | {"embed": table}, distinct, jnp.ones((1, T), bool), tiny)[0, t])

    reach = jnp.any(jax.grad(state)(params["embed"])[:T] != 0, axis=1)
    assert reach.tolist() == [True] * (t + 1) + [False] * (T - t - 1)


@pytest.mark.parametrize("stacked", [pytest.param(True, marks=pytest.mark.slow), False])
@pytest.mark.parametrize(("int8", "error"), [(False, 1e-5), (True, 0.03)])
def test_cached_decoding_is_the_full_pass(
    params: Any, tiny: Model, rng: np.random.Generator, int8: bool, error: float, stacked: bool
) -> None:
    """States of every decoded token, for groups that share left-padded prompts of different lengths; with layers in
    stacks, as on a TPU or GPU, and one by one, as here."""
    p, g, s, length = 2, 3, 6, 5
    prompt = jnp.array(rng.integers(0, tiny.vocab, (p, s)))
    real = jnp.array([[False, False, True, True, True, True], [True] * 6])
    rows = jnp.array(rng.integers(0, tiny.vocab, (p, g, length)))
    _, prompt_kv = transformer.prefill(params, prompt, real, tiny)
    cache = transformer.cached(prompt_kv, int8)
    empty = transformer.empty_cache(p * g, length, int8, tiny)
    own = jax.tree.map(lambda x: jnp.full_like(x, 99), empty)  # what is not yet written must not be read
    if int8:
        assert {leaf.dtype for leaf in (cache.key, cache.value, own.key, own.value)} == {jnp.dtype(jnp.int8)}
    decoding = params
    if not stacked:
        cache, own, blocks = (transformer.as_decoded(tree, tiny) for tree in (cache, own, params["blocks"]))
        assert len(own) == len(blocks) == tiny.layers
        decoding = params | {"blocks": blocks}
    whole = jnp.concatenate([jnp.repeat(prompt, g, axis=0), rows.reshape(p * g, length)], axis=1)
    whole_real = jnp.concatenate([jnp.repeat(real, g, axis=0), jnp.ones((p * g, length), bool)], axis=1)
    want = transformer.forward(params, whole, whole_real, tiny)[:, s:].reshape(p, g, length, tiny.width)
    for t in range(length):
        position = jnp.broadcast_to((real.sum(axis=1) + t)[:, None], (p, g))
        hidden, own = transformer.decode(decoding, rows[..., t], position, cache, real, own, jnp.int32(t), tiny)
        np.testing.assert_allclose(hidden, want[:, :, t], atol=error)


def test_int8_keeps_a_vector_to_half_a_step(rng: np.random.Generator) -> None:
    """Of its greatest entry / 127; a vector of zeros stays one."""
    kv = jnp.array(rng.normal(size=(2, 5, 3, 8)).astype(np.float32) * 10.0 ** rng.integers(-4, 4, (2, 5, 3, 1)))
    kv = kv.at[0, 0, 0].set(0.0)
    cache = transformer.cached((kv, 2 * kv), int8=True)
    for got, scale, want in (
        (jnp.moveaxis(cache.key, -1, -3), cache.key_scale, kv),
        (cache.value.swapaxes(-2, -3), cache.value_scale, 2 * kv),
    ):
        step = scale.swapaxes(-1, -2)[..., None]
        np.testing.assert_allclose(step[..., 0], jnp.max(jnp.abs(want), axis=-1) / 127, rtol=1e-6)
        assert (jnp.abs(got * step - want) <= 0.501 * step).all()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_chunked_log_probs(tiny: Model, tokens: jax.Array, tied: bool, chunk: int) -> None:
    """Values and gradients equal those of the whole [B, T, V]."""
    cfg = replace(tiny, tied=tied, head_chunk=chunk)
    params = weights.init(cfg, False, jax.random.key(2))
    assert ("unembed" in params) == (not tied)
    hidden = jax.random.normal(jax.random.key(3), (B, T, cfg.width))
    head = params["embed" if tied else "unembed"]

    def whole(head: jax.Array, hidden: jax.Array) -> tuple[jax.Array, jax.Array]:
        logp = jax.nn.log_softmax(hidden @ head.T / 0.7, axis=-1)
        return jnp.take_along_axis(logp, tokens[..., None], axis=-1)[..., 0], -(jnp.exp(logp) * logp).sum(axis=-1)

    chunked = lambda head, hidden: heads.token_logp(  # noqa: E731
        {"embed": head, "unembed": head}, hidden, tokens, 0.7, cfg
    )
    for got, want in zip(chunked(head, hidden), whole(head, hidden), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
    total = lambda f: lambda *x: jnp.sum(f(*x)[0] ** 2)  # noqa: E731
    for got, want in zip(*(jax.grad(total(f), argnums=(0, 1))(head, hidden) for f in (chunked, whole)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-4)


def test_remat_changes_nothing(params: Any, tokens: jax.Array, tiny: Model) -> None:
    real = jnp.ones((B, T), bool)
    loss = lambda p, cfg: jnp.sum(transformer.forward(p, tokens, real, cfg) ** 2)  # noqa: E731
    plain = jax.grad(loss)(params, tiny)
    for remat in ("products", "full"):
        again = jax.grad(loss)(params, replace(tiny, remat=remat))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), plain, again)


def test_scores_are_of_the_text_so_far(tiny: Model, tokens: jax.Array) -> None:
    params = weights.init(tiny, True, jax.random.key(0))
    real = jnp.arange(T)[None] < jnp.array([10, 4, 7])[:, None]
    got = heads.score(params, tokens, real, tiny)
    for row, length in enumerate((10, 4, 7)):
        alone = heads.score(params, tokens[row : row + 1, :length], jnp.ones((1, length), bool), tiny)
        np.testing.assert_allclose(got[row, :length], alone[0], atol=1e-5)
    assert got.dtype == jnp.float32


def test_bfloat16_stays_near(params: Any, tokens: jax.Array, tiny: Model) -> None:
    """Compute in bfloat16; log-probs and scores come out in float32, within its rounding."""
    cfg = replace(tiny, dtype="bfloat16")
    real = jnp.ones((B, T), bool)
    hidden = transformer.forward(params, tokens, real, cfg)
    assert hidden.dtype == jnp.bfloat16
    logp, _ = heads.token_logp(params, hidden, tokens, 1.0, cfg)
    exact, _ = heads.token_logp(params, transformer.forward(params, tokens, real, tiny), tokens, 1.0, tiny)
    assert logp.dtype == jnp.float32
    np.testing.assert_allclose(logp, exact, atol=0.2)


def test_fully_masked_rows_stay_finite() -> None:
    q = jnp.ones((1, 4, 2, 2))
    assert np.isfinite(attention.attend(q, q, q, jnp.zeros((1, 4), bool))).all()


def test_one_row_a_weight(tiny: Model) -> None:
    """Shapes follow the letters, residual writers start smaller, decay spares scales and biases."""
    params = weights.init(replace(tiny, tied=False), False, jax.random.key(0))
    assert params["blocks"]["k"].shape == (2, 16, 2, 8)
    assert params["unembed"].shape == params["embed"].shape == (118, 16)
    np.testing.assert_allclose(params["embed"].std(), 16**-0.5, rtol=0.05)
    np.testing.assert_allclose(params["blocks"]["down"].std(), (24 * 4) ** -0.5, rtol=0.1)
    matrices = weights.is_matrix(params)
    assert matrices["blocks"]["q"] and not matrices["blocks"]["q_bias"] and not matrices["final_norm"]
    assert "q_bias" not in weights.init(replace(tiny, qkv_bias=False), True, jax.random.key(0))["blocks"]
