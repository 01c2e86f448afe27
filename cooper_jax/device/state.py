"""What flows between the steps. Letters: P prompts, G per prompt, B = P * G rows, S prompt slots, T completion slots;
R packed rows of U slots, each holding several texts.

`segment_RU` numbers the texts of a packed row from 1; 0 is padding. `parts` is how many micro-batches a batch is
computed in, one after the other; of packed rows, those that hold nothing are skipped.
"""

from typing import Any

from flax import struct

Array = Any
"""A `jax.Array` on the mesh; numpy on the host, before `put` and after `fetch`."""


@struct.dataclass
class ModelState:
    """A trained model: float32 master weights and optimizer state; or a frozen one: weights in the compute type, no
    updates, and () for the optimizer's state."""

    updates: Array
    """How many it has had."""
    params: Any
    opt_state: Any


@struct.dataclass
class CooperState:
    """Both models. Programs that train one alone, and the rule arm, leave the other None."""

    policy: Any
    reward: Any


@struct.dataclass
class Prompts:
    """Left-padded prompts."""

    token_PS: Array
    real_PS: Array


@struct.dataclass
class Rollout:
    """Prompts and sampled completions; `logp_BT` is captured while sampling, the stop token is real."""

    prompts: Prompts
    token_BT: Array
    logp_BT: Array
    real_BT: Array
    finished_B: Array


@struct.dataclass
class PolicyBatch:
    """What the policy's loss reads. `weight_PGT` makes a sum over any rows their part of the global mean; the rewards'
    advantages come last.

    Either G completions share a prompt, which stands apart; or S = 0, G = 1, and each row is packed with prompts and
    completions. `segment_PGT` numbers the texts of a row from 1, `real_PGT` marks the completions' tokens.
    """

    prompt_PS: Array
    prompt_real_PS: Array
    token_PGT: Array
    segment_PGT: Array
    real_PGT: Array
    old_logp_PGT: Array
    ref_logp_PGT: Array
    weight_PGT: Array
    advantage_PGT: Array = None
    parts: int = struct.field(pytree_node=False, default=1)


@struct.dataclass
class Packing:
    """Where the slots of packed rows come from: places in the rollout's flattened prompts and completions side by side,
    [B, S + T]; where `segment_RU` is 0, from nowhere."""

    source_RU: Array
    segment_RU: Array
    parts: int = struct.field(pytree_node=False, default=1)


@struct.dataclass
class RMTexts:
    """Texts in the reward model's template, packed; `end_B` is the place of each one's last token, row * U + slot."""

    token_RU: Array
    segment_RU: Array
    end_B: Array
    parts: int = struct.field(pytree_node=False, default=1)


@struct.dataclass
class PairBatch:
    """A right and a wrong completion of one question side by side, labelled texts to replay or to fit, and completions
    of the step that the rule has judged; packed.

    `wrong_RU` is, at the last token of a right text, the slot where its wrong one ends; `label_RU` is 1 or 0 at the
    last token of a labelled text, `verdict_RU` at that of a judged one. Elsewhere all are -1.
    """

    token_RU: Array
    segment_RU: Array
    wrong_RU: Array
    label_RU: Array
    verdict_RU: Array
    parts: int = struct.field(pytree_node=False, default=1)


@struct.dataclass
class Worked:
    """Prompts with the completions to imitate, for supervised fine-tuning.

    Either side by side; or S = 0, and each row is packed with prompts and completions: `segment_BT` numbers the texts
    of a row from 1, `real_BT` marks the completions' tokens.
    """

    prompt_BS: Array
    prompt_real_BS: Array
    token_BT: Array
    real_BT: Array
    segment_BT: Array = None
    parts: int = struct.field(pytree_node=False, default=1)
