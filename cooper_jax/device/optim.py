"""The optimizer, and gradients accumulated over micro-batches."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from cooper_jax.config import Optim
from cooper_jax.model import weights


def make_optimizer(cfg: Optim, total: int) -> optax.GradientTransformation:
    """AdamW behind global-norm clipping; a cosine schedule ends at the `total`-th update."""
    if cfg.schedule == "cosine":
        rate = optax.warmup_cosine_decay_schedule(0.0, cfg.lr, cfg.warmup, max(total, cfg.warmup + 1))
    else:
        rate = optax.join_schedules(
            [optax.linear_schedule(0.0, cfg.lr, cfg.warmup), optax.constant_schedule(cfg.lr)], [cfg.warmup]
        )
    # Updates are counted from 0; a warm-up that starts at 0 would waste the first.
    return optax.chain(
        optax.stateless(partial(_clip, limit=cfg.grad_clip)),
        optax.chain(
            _adam(cfg),
            optax.add_decayed_weights(cfg.weight_decay, weights.is_matrix),
            optax.scale_by_learning_rate(lambda count: rate(count + 1)),
        ),
    )


def _adam(cfg: Optim) -> optax.GradientTransformation:
    """Adam whose first moments are kept in `cfg.moments` and computed in float32: in bfloat16 a b1 of .9 would be .898,
    and the steps 1.5 % shorter."""
    adam = optax.scale_by_adam(cfg.b1, cfg.b2, cfg.eps, mu_dtype=cfg.moments)

    def update(grads: Any, state: optax.ScaleByAdamState, params: Any = None) -> Any:
        return adam.update(grads, state._replace(mu=optax.tree.cast(state.mu, jnp.float32)), params)

    return optax.GradientTransformation(adam.init, update)  # pyright: ignore[reportArgumentType]


def _clip(grads: Any, _: Any, limit: float) -> Any:
    """Gradients scaled to a global norm of at most `limit`: `optax.clip_by_global_norm` by one factor, which is folded
    into what reads them, where its division is written to memory first."""
    return optax.tree.scale(jnp.minimum(1.0, limit / optax.tree.norm(grads)), grads)


def split(batch: Any, parts: int) -> Any:
    """Cut the leading axis of every leaf into [n / parts, parts]: column i is micro-batch i. Each takes every parts-th
    row, so that a batch spread over a mesh is cut within its devices, and nothing is moved."""
    return jax.tree.map(lambda x: x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), batch)


def accumulate(
    loss_fn: Callable[[Any, Any], tuple[jax.Array, dict[str, jax.Array]]],
    params: Any,
    batch: Any,
    parts: int,
    used: int | jax.Array,
    first: int | jax.Array = 0,
    every: int = 1,
) -> tuple[Any, dict[str, jax.Array]]:
    """Sums of the gradients and of the metrics of `loss_fn` over the first `used` of `parts` micro-batches; of these,
    the `first` and `every`-th after it."""
    grad_fn = jax.grad(loss_fn, has_aux=True)
    if parts == 1:
        return grad_fn(params, batch)
    pieces = split(batch, parts)
    add = lambda i, total: jax.tree.map(jnp.add, total, grad_fn(params, _piece(pieces, first + i * every)))  # noqa: E731
    _, sums = jax.eval_shape(loss_fn, params, _piece(pieces, 0))
    count = used if every == 1 else (used - first + every - 1) // every
    return jax.lax.fori_loop(0, count, add, (_zeros(params), _zeros(sums)))


def in_parts(fn: Callable[[Any], jax.Array], batch: Any, parts: int, used: jax.Array) -> jax.Array:
    """`fn` of the first `used` of `parts` micro-batches, in the order of the batch's rows; zeros for the others."""
    if parts == 1:
        return fn(batch)
    pieces = split(batch, parts)
    like = jax.eval_shape(fn, _piece(pieces, 0))
    write = lambda i, out: out.at[:, i].set(fn(_piece(pieces, i)))  # noqa: E731
    out = jax.lax.fori_loop(0, used, write, jnp.zeros((like.shape[0], parts, *like.shape[1:]), like.dtype))
    return out.reshape(-1, *like.shape[1:])


def used_parts(mask: jax.Array, parts: int) -> jax.Array:
    """How many micro-batches it takes to reach the last row in which `mask` holds anywhere."""
    busy = jnp.any(split(mask, parts), axis=(0, *range(2, mask.ndim + 1)))
    return jnp.max(jnp.where(busy, jnp.arange(1, parts + 1), 0))


def _piece(pieces: Any, i: int | jax.Array) -> Any:
    return jax.tree.map(lambda x: jax.lax.dynamic_index_in_dim(x, i, axis=1, keepdims=False), pieces)


def _zeros(like: Any) -> Any:
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
