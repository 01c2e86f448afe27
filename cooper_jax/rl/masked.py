"""Masked reductions, and the weights that turn a sum over a batch into the mean that is meant.

A loss here is a weighted sum whose weights are computed once from the whole batch. However the batch is then cut into
micro-batches or spread over a mesh, the parts add up to the same global mean.
"""

import jax
import jax.numpy as jnp


def mean(x: jax.Array, mask: jax.Array, axis: int | None = None, keepdims: bool = False) -> jax.Array:
    """Mean of `x` where `mask`; 0 where nothing is."""
    total = jnp.sum(jnp.where(mask, x, 0.0), axis=axis, keepdims=keepdims)
    return total / jnp.maximum(jnp.sum(mask, axis=axis, keepdims=keepdims), 1)


def std(x: jax.Array, mask: jax.Array, axis: int | None = None, keepdims: bool = False) -> jax.Array:
    """Sample standard deviation (n - 1) of `x` where `mask`; 0 where fewer than two are."""
    centred = jnp.where(mask, x - mean(x, mask, axis, keepdims=True), 0.0)
    count = jnp.sum(mask, axis=axis, keepdims=keepdims)
    return jnp.sqrt(jnp.sum(centred**2, axis=axis, keepdims=keepdims) / jnp.maximum(count - 1, 1))


def mean_weights(mask: jax.Array) -> jax.Array:
    """Weights of any shape that make a sum the mean over `mask`; all 0 if nothing is masked in."""
    return mask / jnp.maximum(jnp.sum(mask), 1).astype(jnp.float32)


def balanced_weights(label: jax.Array) -> jax.Array:
    """Weights of any shape that make a sum the mean of two means, over label 1 and over label 0; all 0 unless both are
    there. Other labels weigh nothing."""
    right, wrong = label == 1, label == 0
    both = jnp.any(right) & jnp.any(wrong)
    return both * (mean_weights(right) + mean_weights(wrong)) / 2


def segment_mean(x_BT: jax.Array, segment_BT: jax.Array) -> jax.Array:
    """At each slot the mean of `x_BT` over the slots of its row that have its number in `segment_BT`."""

    def of_row(x_T: jax.Array, segment_T: jax.Array) -> jax.Array:
        total = lambda y_T: jax.ops.segment_sum(y_T, segment_T, x_T.shape[0] + 1)  # noqa: E731
        return (total(x_T) / jnp.maximum(total(jnp.ones_like(x_T)), 1.0))[segment_T]

    return jax.vmap(of_row)(x_BT, segment_BT)
