"""The rule's verdicts and the reward model's scores as one reward."""

import jax
import jax.numpy as jnp


def rewards(score_B: jax.Array, verdict_B: jax.Array) -> jax.Array:
    """1 for the verdict right (1), 0 for wrong (0), and the score where the verdict is unknown (-1).

    A score is the reward model's estimate of the chance that the verdict would be 1, so it stands between the two bands
    as it is: an unknown completion never outranks a right one of its group, nor falls below a wrong one. HERO (arXiv
    2510.07242) ranks by score inside the bands of right and wrong, stretched from the group's least to its greatest.
    Not here: stretching makes full contrasts of the noise among near-equal scores, which `grpo.std_floor` is there to
    prevent, and gives one score another worth in each group. So groups with verdicts, without, and mixed ones share one
    scale; and inside the bands of right and wrong scores play no part, so that under a rule that reads everything this
    is the rule arm.
    """
    return jnp.where(verdict_B < 0, score_B, (verdict_B == 1).astype(score_B.dtype))
