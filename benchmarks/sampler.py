"""What bringing unfinished rows together saves: one long completion among 64, sampled with and without.

    python benchmarks/sampler.py [--json OUT]

The shapes are those of the comparison's small model (workload.py). The weights are made so that the last token alone
decides the next: of 64 prompts one leads into a cycle that never stops, the others to the stop token after 8 tokens.
The texts must be the same both ways.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from workload import SHAPE

from cooper_jax.config import Mesh, Model, Trainee
from cooper_jax.device import jits, keys, loading
from cooper_jax.device.state import Prompts
from cooper_jax.mesh import sharding
from cooper_jax.model.sample import Sampling

ROWS, SHORT, LENGTH, STOP, LONG = 64, 8, 256, 1, 3


def chained(params: dict, vocab: int) -> dict:
    """Weights under which token t is followed by t + 1 up to the stop token, and LONG by itself."""
    following = np.arange(1, vocab + 1) % vocab
    following[LONG], following[-1] = LONG, STOP
    embed_VD = np.random.default_rng(0).normal(size=params["embed"].shape).astype(np.float32)
    unit_VD = embed_VD / np.sqrt((embed_VD**2).mean(axis=1, keepdims=True))
    unembed_VD = np.zeros_like(embed_VD)
    np.add.at(unembed_VD, following, unit_VD)
    blocks = params["blocks"] | {name: jnp.zeros_like(params["blocks"][name]) for name in ("o", "down")}
    return params | {"embed": jnp.array(embed_VD), "unembed": jnp.array(unembed_VD), "blocks": blocks}


def main() -> None:
    """Sample both ways in turns, compare the texts, print the medians."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--json", default="")
    given = arguments.parse_args()
    model = Model(dtype="float32", head_dim=SHAPE.width // SHAPE.heads, tied=False, **SHAPE._asdict())
    trainee, mesh = Trainee(model), sharding.make_mesh(Mesh(), jax.devices()[:1])
    token_PS = np.full((ROWS, 32), model.vocab - SHORT, np.int32)
    token_PS[ROWS // 2, -1] = LONG
    with jax.set_mesh(mesh):
        params = chained(loading.init_state(trainee, False, mesh, keys.key(0, keys.Use.ROLLOUT), 1).params, model.vocab)
        prompts = sharding.put(Prompts(token_PS, np.ones(token_PS.shape, bool)), mesh)
        key = sharding.put(keys.key(0, keys.Use.ROLLOUT), mesh)
        taken: dict[bool, list[float]] = {True: [], False: []}
        texts = {}
        for _ in range(given.rounds + 1):
            for compact in taken:
                how = Sampling(1, LENGTH, 1.0, 1.0, 0, (STOP,), 0, compact=compact)
                begun = time.process_time()
                drawn = jax.block_until_ready(jits.make_rollout(model, how, mesh)(params, prompts, key))
                taken[compact].append(time.process_time() - begun)
                texts[compact] = np.asarray(drawn.token_BT), np.asarray(drawn.real_BT).sum(axis=1)
    np.testing.assert_array_equal(texts[True][0], texts[False][0])
    length_B = np.sort(texts[True][1])
    assert length_B[-1] == LENGTH and (length_B[:-1] == SHORT).all(), length_B
    together, apart = (statistics.median(taken[compact][1:]) for compact in (True, False))
    figures = {"together_cpu_s": together, "apart_cpu_s": apart, "speed_up": apart / together}
    print(json.dumps(figures, indent=1))
    if given.json:
        with open(given.json, "w") as file:
            json.dump(figures, file, indent=1)


if __name__ == "__main__":
    main()
