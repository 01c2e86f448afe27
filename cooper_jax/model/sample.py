"""Sampling: each prompt is prefilled once for its whole group, then all rows decode in lockstep.

Rows that have ended are left behind: once no more than an eighth are going, these go on by themselves, in smaller
arrays, and so on; one long answer does not hold the batch.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from cooper_jax.config import Model
from cooper_jax.mesh import sharding
from cooper_jax.mesh.sharding import DECODE_RULES, DRAW_RULES, WEIGHT_RULES, constrain
from cooper_jax.model import heads, transformer, weights
from cooper_jax.model.attention import Cache
from cooper_jax.model.transformer import Layers, Params

SHRINK = 8
"""Rows are brought together when one in so many is still going."""
FEWEST = 8
"""Nor are so few brought together again: each size is one more loop to compile."""
BLOCK = 128
"""Entries of the vocabulary whose probabilities are summed before a token is looked for among them."""


class Sampling(NamedTuple):
    """How the next token is drawn. Temperature 0 is greedy; top_k 0 and top_p 1 keep every token."""

    group: int
    length: int
    temperature: float
    top_p: float
    top_k: int
    stop: tuple[int, ...]
    pad: int
    int8: bool = False
    """Keep keys and values in int8."""
    compact: bool = True
    """Leave ended rows behind. The tokens are the same either way."""
    turns: int = 1
    """Sample an equal part of the prompts after the other: the cache is as large as one part's."""


class Sampled(NamedTuple):
    """Completions, B = P * G. The stop token is part of the completion; what follows it is padding and not `real`.

    `logp_BT` is of the whole distribution at the temperature (1 when greedy), before top-k and top-p, so that it equals
    what the trainer computes.
    """

    token_BT: jax.Array
    logp_BT: jax.Array
    real_BT: jax.Array
    finished_B: jax.Array


class _Going(NamedTuple):
    """Rows still decoding, [P, G] of them, and what they read. `place_WR` is where they stood at first on their shard,
    one of W."""

    place_WR: jax.Array
    token_PG: jax.Array
    done_PG: jax.Array
    start_PG: jax.Array
    own: Layers
    prompt: Layers
    prompt_real_PS: jax.Array


class _Drawn(NamedTuple):
    """What all rows, R on each of W shards, have drawn up to slot t, time first: a step writes one line."""

    t: jax.Array
    token_TWR: jax.Array
    logp_TWR: jax.Array
    real_TWR: jax.Array
    finished_WR: jax.Array


def sample(
    params: Params, tokens_PS: jax.Array, real_PS: jax.Array, key: jax.Array, how: Sampling, cfg: Model
) -> Sampled:
    """`how.group` completions of at most `how.length` tokens for each left-padded prompt. A row's noise is its own,
    whatever turn it has."""
    p, g, length, turns = tokens_PS.shape[0], how.group, how.length, how.turns
    # Cast and laid out for decoding once, not at every token. The prompts are still many tokens, as in training.
    params = transformer.in_compute_type(params, cfg)
    read = weights.laid_out(params, WEIGHT_RULES, cfg)
    decoding = weights.laid_out(params, DECODE_RULES, cfg)
    decoding |= {"blocks": transformer.as_decoded(decoding["blocks"], cfg)}
    chance_T2B = jax.random.uniform(key, (length, 2, p * g))
    if turns == 1:
        return _turn(read, decoding, tokens_PS, real_PS, chance_T2B, how, cfg)
    # Every turns-th prompt, so that each device has its part of each turn's: [turns, P / turns, ...].
    in_turns = lambda x_PS: constrain(x_PS.reshape(-1, turns, x_PS.shape[1]).swapaxes(0, 1), "_P")  # noqa: E731
    chance_T2Pt = jnp.moveaxis(chance_T2B.reshape(length, 2, -1, turns, g), 3, 0).reshape(turns, length, 2, -1)

    def turn(part: tuple[jax.Array, jax.Array, jax.Array]) -> Sampled:
        return _turn(read, decoding, part[0], part[1], part[2], how, cfg)

    drawn = jax.lax.map(turn, (in_turns(tokens_PS), in_turns(real_PS), constrain(chance_T2Pt, "___B")))

    def by_row(x: jax.Array) -> jax.Array:
        """[turns, rows of a turn, ...] -> [B, ...]."""
        of_prompts = jnp.moveaxis(x.reshape(turns, p // turns, g, *x.shape[2:]), 0, 1)
        return constrain(constrain(of_prompts, "P").reshape(p * g, *x.shape[2:]), "B")

    return jax.tree.map(by_row, drawn)


def _turn(
    read: Params,
    decoding: Params,
    tokens_PS: jax.Array,
    real_PS: jax.Array,
    chance_T2B: jax.Array,
    how: Sampling,
    cfg: Model,
) -> Sampled:
    """`sample` of prompts whose completions are drawn at one time, with weights laid out to read and to decode."""
    p, g, length = tokens_PS.shape[0], how.group, how.length
    rows, shards = p * g, sharding.row_ways()
    hidden_PSD, prompt_kv = transformer.prefill(read, tokens_PS, real_PS, cfg)
    as_decoded = partial(transformer.as_decoded, cfg=cfg)
    chance_T2WR = constrain(chance_T2B.reshape(length, 2, shards, -1), "__B")
    first_PGD = constrain(jnp.broadcast_to(hidden_PSD[:, -1:], (p, g, cfg.width)), "PGD")
    going = _Going(
        place_WR=jnp.broadcast_to(jnp.arange(rows // shards)[None], (shards, rows // shards)),
        token_PG=jnp.zeros((p, g), jnp.int32),
        done_PG=jnp.zeros((p, g), bool),
        start_PG=jnp.broadcast_to(jnp.sum(real_PS, axis=1, keepdims=True), (p, g)),
        own=as_decoded(transformer.empty_cache(rows, max(length - 1, 1), how.int8, cfg)),
        prompt=as_decoded(transformer.cached(prompt_kv, how.int8)),
        prompt_real_PS=real_PS,
    )

    def draw(hidden_PGD: jax.Array, going: _Going, drawn: _Drawn) -> tuple[_Going, _Drawn]:
        """The token after slot t, of every row that is going."""
        chance_2WR = jnp.take_along_axis(chance_T2WR[drawn.t + 1], going.place_WR[None], axis=-1)
        of_rows = next_token(_logits(decoding, hidden_PGD, cfg)[:, None], chance_2WR.reshape(2, -1, 1), how)
        token_PG, logp_PG = (constrain(x_B1.reshape(going.done_PG.shape), "PG") for x_B1 in of_rows)
        token_PG = jnp.where(going.done_PG, how.pad, token_PG)
        done_PG = going.done_PG | jnp.any(token_PG[..., None] == jnp.array(how.stop)[None, None], axis=-1)
        step = token_PG, jnp.where(going.done_PG, 0.0, logp_PG), ~going.done_PG, done_PG
        return going._replace(token_PG=token_PG, done_PG=done_PG), _written(drawn, going.place_WR, *step)

    def step(state: tuple[_Going, _Drawn]) -> tuple[_Going, _Drawn]:
        going, drawn = state
        position_PG = going.start_PG + drawn.t
        hidden_PGD, own = transformer.decode(
            decoding, going.token_PG, position_PG, going.prompt, going.prompt_real_PS, going.own, drawn.t, cfg
        )
        return draw(hidden_PGD, going._replace(own=own), drawn)

    state = draw(first_PGD, going, _nothing(shards, rows // shards, how))
    for enough in _sizes(rows, how.compact):
        busy = lambda s, enough=enough: (s[1].t < length - 1) & (_busiest(s[0].done_PG) > enough)  # noqa: E731
        state = jax.lax.while_loop(busy, step, state)
        if enough:
            state = (_together(state[0], enough), state[1])
    drawn = state[1]
    by_row = lambda x_TWR: constrain(x_TWR.reshape(length, rows).T, "BT")  # noqa: E731
    token_BT, logp_BT, real_BT = map(by_row, (drawn.token_TWR, drawn.logp_TWR, drawn.real_TWR))
    return Sampled(token_BT, logp_BT, real_BT, drawn.finished_WR.reshape(rows))


def _nothing(shards: int, rows: int, how: Sampling) -> _Drawn:
    """Before the first token."""
    full = lambda value: constrain(jnp.full((how.length, shards, rows), value), "_B")  # noqa: E731
    return _Drawn(
        t=jnp.int32(-1),
        token_TWR=full(jnp.int32(how.pad)),
        logp_TWR=full(jnp.float32(0)),
        real_TWR=full(False),
        finished_WR=constrain(jnp.zeros((shards, rows), bool), "B"),
    )


def _logits(params: Params, hidden_PGD: jax.Array, cfg: Model) -> jax.Array:
    """Float32 logits [B, V], each row's on one device."""
    logits_PGV = heads.logits(params, hidden_PGD, cfg)
    # First to the devices that have the rows, then among those that share them.
    return constrain(constrain(logits_PGV, "PGV").reshape(-1, cfg.vocab), "BV", DRAW_RULES)


def _written(
    drawn: _Drawn, place_WR: jax.Array, token_PG: jax.Array, logp_PG: jax.Array, real_PG: jax.Array, done_PG: jax.Array
) -> _Drawn:
    """`drawn` and the next slot, of the rows at those places of their shards."""
    t = drawn.t + 1
    set_at = jax.vmap(lambda old_R, place_R, new_R: old_R.at[place_R].set(new_R))
    of_rows = lambda old_WR, new_PG: set_at(old_WR, place_WR, new_PG.reshape(place_WR.shape))  # noqa: E731
    line = lambda old_TWR, new_PG: old_TWR.at[t].set(of_rows(old_TWR[t], new_PG))  # noqa: E731
    return _Drawn(
        t=t,
        token_TWR=line(drawn.token_TWR, token_PG),
        logp_TWR=line(drawn.logp_TWR, logp_PG),
        real_TWR=line(drawn.real_TWR, real_PG),
        finished_WR=of_rows(drawn.finished_WR, done_PG),
    )


def _sizes(rows: int, compact: bool) -> list[int]:
    """At how many rows going, on a shard of the mesh, to bring them together; the last, 0, is the end."""
    sizes, left = [], rows // sharding.row_ways() // SHRINK
    while compact and left >= FEWEST:
        sizes.append(left)
        left //= SHRINK
    return [*sizes, 0]


def _by_shard(x_B: jax.Array, letters: str = "B") -> jax.Array:
    """[B, ...] -> [shards, rows of a shard, ...], for work that must not cross devices."""
    return constrain(x_B.reshape(sharding.row_ways(), -1, *x_B.shape[1:]), letters)


def _busiest(done_PG: jax.Array) -> jax.Array:
    """Rows going on the shard that has most of them."""
    return jnp.max(jnp.sum(~_by_shard(done_PG.reshape(-1)), axis=1))


def _together(going: _Going, count: int) -> _Going:
    """`count` rows of every shard, those that are going first, each with a copy of its prompt: [shards * count, 1]."""
    per_prompt = going.done_PG.shape[1]
    row_WR = jnp.argsort(_by_shard(going.done_PG.reshape(-1)), axis=1, stable=True)[:, :count]
    prompt_WR = row_WR // per_prompt

    def take(x_B: jax.Array, of_WR: jax.Array, letters: str = "B") -> jax.Array:
        index = of_WR.reshape(*of_WR.shape, *(1,) * (x_B.ndim - 1))
        taken = constrain(jnp.take_along_axis(_by_shard(x_B, letters), index, axis=1), letters)
        return taken.reshape(-1, *x_B.shape[1:])

    def layers(cache: Layers, of_WR: jax.Array) -> Layers:
        of_layer = partial(take, letters="B_K")
        if not isinstance(cache, Cache):
            return jax.tree.map(partial(of_layer, of_WR=of_WR), cache)
        # A row at a time: for all at once the TPU's compiler makes room as if for another whole cache.
        one = lambda of_W: jax.tree.map(jax.vmap(partial(of_layer, of_WR=of_W[:, None])), cache)  # noqa: E731
        joined = lambda x: jnp.moveaxis(x, 0, 2).reshape(x.shape[1], -1, *x.shape[3:])  # noqa: E731
        return jax.tree.map(lambda x: constrain(joined(x), "LBK"), jax.lax.map(one, of_WR.T))

    return _Going(
        take(going.place_WR.reshape(-1), row_WR).reshape(row_WR.shape),
        *(take(x_PG.reshape(-1), row_WR)[:, None] for x_PG in (going.token_PG, going.done_PG, going.start_PG)),
        own=layers(going.own, row_WR),
        prompt=layers(going.prompt, prompt_WR),
        prompt_real_PS=take(going.prompt_real_PS, prompt_WR),
    )


def next_token(logits_PGV: jax.Array, chance_2PG: jax.Array, how: Sampling) -> tuple[jax.Array, jax.Array]:
    """The token on which `chance_2PG`, uniform in [0, 1), falls; its log-prob is of the unfiltered distribution."""
    z_PGV = logits_PGV / (how.temperature or 1.0)
    top_PG1 = jnp.max(z_PGV, axis=-1, keepdims=True)
    weight_PGV = jnp.exp(z_PGV - top_PG1)
    greedy = how.temperature == 0
    token_PG = jnp.argmax(z_PGV, axis=-1) if greedy else _fall(_filtered(weight_PGV, how), chance_2PG)
    picked_PG = jnp.take_along_axis(z_PGV, token_PG[..., None], axis=-1)[..., 0]
    return token_PG, picked_PG - top_PG1[..., 0] - jnp.log(jnp.sum(weight_PGV, axis=-1))


def _fall(weight_PGV: jax.Array, chance_2PG: jax.Array) -> jax.Array:
    """Inverse of the cumulative distribution: the first chance picks a block of the vocabulary, the second an entry.

    Two numbers a row instead of one an entry, and no pass over the vocabulary but the sums of its blocks.
    """
    p, g, v = weight_PGV.shape
    blocks = jnp.pad(weight_PGV, ((0, 0), (0, 0), (0, -v % BLOCK))).reshape(p, g, -1, BLOCK)
    block_PG = _search(jnp.sum(blocks, axis=-1), chance_2PG[0])
    inside = jnp.take_along_axis(blocks, block_PG[..., None, None], axis=2)[:, :, 0]
    return block_PG * BLOCK + _search(inside, chance_2PG[1])


def _search(weight_PGN: jax.Array, chance_PG: jax.Array) -> jax.Array:
    """Where the chance falls among the weights; never on a weight of nothing."""
    upto_PGN = jnp.cumsum(weight_PGN, axis=-1)
    last_PG = weight_PGN.shape[-1] - 1 - jnp.argmax(weight_PGN[..., ::-1] > 0, axis=-1)
    index_PG = jnp.sum(upto_PGN <= chance_PG[..., None] * upto_PGN[..., -1:], axis=-1)
    return jnp.minimum(index_PG, last_PG)


def _filtered(weight_PGV: jax.Array, how: Sampling) -> jax.Array:
    """Top-k, then nucleus (Holtzman et al. 2020): the fewest tokens whose probability reaches top_p."""
    if how.top_k:
        kth = jax.lax.top_k(weight_PGV, min(how.top_k, weight_PGV.shape[-1]))[0][..., -1:]
        weight_PGV = jnp.where(weight_PGV < kth, 0.0, weight_PGV)
    if how.top_p < 1:
        weight_PGV = jnp.where(weight_PGV < _least(weight_PGV, how.top_p), 0.0, weight_PGV)
    return weight_PGV


def _least(weight_PGV: jax.Array, top_p: float) -> jax.Array:
    """The greatest threshold [P, G, 1] at which the weights that reach it make up `top_p` of all, in [0, 1].

    By bisection of the threshold's bits, whose order is that of the numbers, where sorting takes 20 x as long.
    """
    reached_PG1 = top_p * jnp.sum(weight_PGV, axis=-1, keepdims=True)
    as_float = lambda bits: jax.lax.bitcast_convert_type(bits, jnp.float32)  # noqa: E731

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) // 2
        kept_PG1 = jnp.sum(jnp.where(weight_PGV >= as_float(middle), weight_PGV, 0.0), axis=-1, keepdims=True)
        enough = kept_PG1 >= reached_PG1
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    low = jnp.zeros(reached_PG1.shape, jnp.int32)
    high = jnp.full(reached_PG1.shape, np.float32(1).view(np.int32) + 1)
    return as_float(jax.lax.fori_loop(0, 30, halve, (low, high))[0])
