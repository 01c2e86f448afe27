"""The reward model's losses. Logits, not scores: score = sigmoid(logit). Each function returns one loss an element."""

import jax


def pair_loss(right_Q: jax.Array, wrong_Q: jax.Array) -> jax.Array:
    """-log sigmoid(s+ - s-) (Bradley & Terry 1952; Cooper, stage 2)."""
    return -jax.nn.log_sigmoid(right_Q - wrong_Q)


def cross_entropy(logit_B: jax.Array, label_B: jax.Array) -> jax.Array:
    """-y log sigmoid(s) - (1 - y) log sigmoid(-s): VerifyRM's own training, the anchor on pairs, and replay."""
    return -label_B * jax.nn.log_sigmoid(logit_B) - (1 - label_B) * jax.nn.log_sigmoid(-logit_B)


def anchored(right_Q: jax.Array, wrong_Q: jax.Array, weight: float, anchor: float) -> jax.Array:
    """weight * pair loss + anchor * mean cross-entropy of the pair's two sides, which a difference leaves free."""
    sides_Q = -jax.nn.log_sigmoid(right_Q) - jax.nn.log_sigmoid(-wrong_Q)
    return weight * pair_loss(right_Q, wrong_Q) + anchor * sides_Q / 2
