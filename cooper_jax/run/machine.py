"""What every program needs: devices, models' shapes, tokenizers, the verifier, and the border that text crosses."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import jax
import numpy as np

from cooper_jax.config import Config, Trainee, UserError, path
from cooper_jax.device.state import Packing, PairBatch, Prompts, RMTexts
from cooper_jax.host.text import encode, packing
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.pool import Pool
from cooper_jax.mesh import sharding
from cooper_jax.model import weights
from cooper_jax.model.sample import Sampling
from cooper_jax.run import start


@dataclass
class Machine:
    """What every program needs: devices, models' shapes, tokenizers, verifier."""

    cfg: Config
    """The program's, with the shapes of `models` filled in."""
    mesh: jax.sharding.Mesh
    models: dict[str, Trainee]
    """"policy" and "reward", as far as the program has them, each with the `init` that it starts from."""
    tokenizers: dict[str, encode.Tokenizer]
    """Theirs."""
    verifier: Pool
    stack: ExitStack

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stack.close()

    def put(self, tree: Any) -> Any:
        """Host rows -> global arrays."""
        return sharding.put(tree, self.mesh)

    def like(self, tree: Any) -> Any:
        """Shapes of what `put` makes of host rows."""
        return sharding.like(tree, self.mesh)

    def sampling(self, group: int, temperature: float, top_p: float, top_k: int = 0) -> Sampling:
        """How the policy's completions are drawn, each of at most `rollout.completion_len` tokens."""
        tok = self.tokenizers["policy"]
        drawn = self.cfg.rollout
        int8 = drawn.cache == "int8"
        return Sampling(group, drawn.completion_len, temperature, top_p, top_k, tok.stop_ids, tok.pad_id, int8)

    def fits(self, text: str) -> bool:
        """Whether the policy could have written `text`, and finished it within its limit."""
        try:
            return len(self.tokenizers["policy"].encode_batch([text])[0]) < self.cfg.rollout.completion_len
        except UserError:
            return False  # not in the built-in task's vocabulary

    def prompts(self, problems: Sequence[Problem]) -> Prompts:
        """Prompts for the policy, still on the host."""
        cfg = self.cfg
        return Prompts(*encode.prompts(problems, self.tokenizers["policy"], cfg.prompting, cfg.rollout.prompt_len))

    def rm_texts(self, problems: Sequence[Problem], texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of texts in the reward model's template."""
        return encode.rm_texts(problems, texts, self.tokenizers["reward"], self.cfg.scoring.length)

    def packed(self, texts: Sequence[np.ndarray]) -> RMTexts:
        """Texts to be scored, still on the host."""
        cfg = self.cfg.scoring
        into = self._room(len(texts), cfg.length, 2 * cfg.length, cfg.micro_batch)
        token_RU, segment_RU, end_B = packing.rm_texts(texts, into, self.tokenizers["reward"].pad_id)
        return RMTexts(token_RU, segment_RU, end_B + jax.process_index() * token_RU.size, into.parts)

    def packed_pairs(
        self, room: int, pairs: Sequence[tuple[np.ndarray, np.ndarray]], labelled: Sequence[np.ndarray], labels: Any
    ) -> PairBatch:
        """Up to `room` right and wrong texts, and labelled texts (alone, if `room` is 0), still on the host."""
        window, pad = self.cfg.scoring.length, self.tokenizers["reward"].pad_id
        # A pair is one unit; beside pairs, two labelled texts take the room of one.
        units, longest = (room + -(-len(labelled) // 2), 2 * window) if room else (len(labelled), window)
        into = self._room(units, longest, 2 * window, self.cfg.reward.micro_batch)
        return PairBatch(*packing.pairs(pairs, labelled, labels, into, pad), into.parts)

    def packed_completions(self, prompts: Prompts, real_BT: np.ndarray) -> Packing:
        """Where the policy's update finds prompts and completions; still on the host."""
        slots = prompts.real_PS.shape[1] + real_BT.shape[1]
        into = self._room(len(real_BT), slots, 2 * slots, self.cfg.policy.micro_batch)
        source_RU, segment_RU = packing.completions(prompts.real_PS, real_BT, into)
        return Packing(source_RU + jax.process_index() * len(real_BT) * slots, segment_RU, into.parts)

    def _room(self, texts: int, longest: int, length: int, micro_batch: int) -> packing.Shape:
        """This process's share of the packed rows."""
        processes = jax.process_count()
        ways = sharding.ways_of(self.mesh) // processes
        return packing.shape(texts, longest, length, -(-micro_batch // processes), ways)

    def read(self, token_BT: np.ndarray, real_BT: np.ndarray) -> list[str]:
        """The policy's completions as text."""
        return encode.decode(token_BT, real_BT, self.tokenizers["policy"])


def machine(cfg: Config, **models: Trainee) -> Machine:
    """Set up devices, verifier, and shapes and tokenizers of `models`, named policy and reward.

    Raises UserError where a model or its tokenizer does not suit, or a batch does not divide over the mesh.
    """
    keep_compiled(cfg.compile_cache)
    mesh = sharding.make_mesh(cfg.mesh)
    models = {name: start.resolve(name, trainee) for name, trainee in models.items()}
    cfg = replace(cfg, **{name: replace(getattr(cfg, name), model=models[name].model) for name in models})
    tokenizers = {name: start.tokenizer(name, trainee, cfg.data.source) for name, trainee in models.items()}
    for name, trainee in models.items():
        weights.check_mesh(name, trainee.model, mesh)
    stack = ExitStack()
    stack.enter_context(jax.set_mesh(mesh))
    # Every crossing between host and devices goes through `sharding.put` and `fetch`; any other is an error.
    stack.enter_context(jax.transfer_guard("disallow"))
    verifier = stack.enter_context(Pool(cfg.verifier))
    return Machine(cfg, mesh, models, tokenizers, verifier, stack)


def keep_compiled(folder: str) -> None:
    """Keep compiled programs in `folder` between processes, unless it is empty or the environment says otherwise."""
    if not folder:
        return
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        kept = path(folder).expanduser()
        try:
            kept.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"compiled programs are not kept: {kept}: {error.strerror}; name another folder as --compile-cache")
            return
        jax.config.update("jax_compilation_cache_dir", str(kept))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
