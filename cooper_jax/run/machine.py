"""What every program needs: devices, models' shapes, tokenizers, the verifier, and the border that text crosses."""

import json
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from types import TracebackType
from typing import Any, TypeVar

import jax
import numpy as np

from cooper_jax.config import Config, Trainee, UserError, flat, path, to_json
from cooper_jax.device.state import Packing, PairBatch, Prompts, RMTexts, Worked
from cooper_jax.host.text import encode, packing
from cooper_jax.host.text.data import Problem
from cooper_jax.host.verifier.pool import Job, Pool
from cooper_jax.host.verifier.verdict import UNKNOWN, Verdict
from cooper_jax.mesh import hosts, sharding
from cooper_jax.mesh.sharding import Share
from cooper_jax.model import weights
from cooper_jax.model.sample import Sampling
from cooper_jax.run import directory, start

T = TypeVar("T")
_OWN = ("verifier.workers", "compile_cache")
"""Settings in which processes may differ."""


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
    trouble: hosts.Trouble = field(default_factory=hosts.Trouble)
    """Of this process alone, for the loop to tell the others."""

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stack.close()

    @property
    def share(self) -> Share:
        """Which rows are this process's."""
        return sharding.share(self.mesh)

    def mine(self, items: Sequence[T], copies: int = 1) -> list[T]:
        """This process's part of a batch, of which each item makes `copies` rows."""
        return [items[i] for i in dict.fromkeys((self.share.rows(len(items) * copies) // copies).tolist())]

    def dealt(self, item_N: np.ndarray) -> np.ndarray:
        """This process's part of items that may lie in any row, and need not be equally many in each process."""
        return item_N[self.share.place :: self.share.shares]

    def put_once(self, counts: Sequence[float]) -> jax.Array:
        """This process's counts -> a global array, float32 [devices, counts], whose sum has them once."""
        return sharding.put_once(np.array(counts, np.float32), self.mesh)

    def verify(self, jobs: Sequence[Job]) -> Callable[[], list[Verdict]]:
        """What waits for verdicts on this process's rows; unknown where another process leads them, and asks."""
        if self.share.leads:
            return self.verifier.submit(jobs).result
        return lambda: [Verdict(UNKNOWN, None, "another process asks")] * len(jobs)

    def put(self, tree: Any) -> Any:
        """Host rows -> global arrays."""
        return sharding.put(tree, self.mesh)

    def like(self, tree: Any) -> Any:
        """Shapes of what `put` makes of host rows."""
        return sharding.like(tree, self.mesh)

    def sampling(self, group: int, temperature: float, top_p: float, top_k: int = 0, turns: int = 1) -> Sampling:
        """How the policy's completions are drawn, each of at most `rollout.completion_len` tokens."""
        tok = self.tokenizers["policy"]
        drawn = self.cfg.rollout
        int8 = drawn.cache == "int8"
        self.cfg.policy.model.require_room(
            drawn.prompt_len + drawn.completion_len, "rollout.prompt_len + rollout.completion_len"
        )
        length, stop, pad = drawn.completion_len, tok.stop_ids, tok.pad_id
        return Sampling(group, length, temperature, top_p, top_k, stop, pad, int8, turns=turns)

    def fits(self, text: str) -> bool:
        """Whether the policy could have written `text`, and finished it within its limit."""
        try:
            return len(self.tokenizers["policy"].encode_batch([text])[0]) < self.cfg.rollout.completion_len
        except UserError:
            return False  # not in the built-in task's vocabulary

    def prompts(self, problems: Sequence[Problem], copies: int = 1) -> Prompts:
        """Prompts for the policy, `copies` of each side by side, still on the host."""
        cfg = self.cfg
        rows = encode.prompts(problems, self.tokenizers["policy"], cfg.prompting, cfg.rollout.prompt_len)
        return Prompts(*(np.repeat(x_PS, copies, axis=0) for x_PS in rows))

    def rm_texts(self, problems: Sequence[Problem], texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of texts in the reward model's template."""
        return encode.rm_texts(problems, texts, self.tokenizers["reward"], self.cfg.scoring.length)

    def packed(self, texts: Sequence[np.ndarray]) -> RMTexts:
        """Texts to be scored, still on the host."""
        cfg = self.cfg.scoring
        into = self._room(len(texts), cfg.length, 2 * cfg.length, cfg.micro_batch)
        token_RU, segment_RU, end_B = packing.rm_texts(texts, into, self.tokenizers["reward"].pad_id)
        return RMTexts(token_RU, segment_RU, self._place(end_B, *token_RU.shape), into.parts)

    def packed_pairs(
        self,
        room: int,
        pairs: Sequence[tuple[np.ndarray, np.ndarray]],
        labelled: int,
        texts: Sequence[Any],
        labels: Any,
        judged: tuple[int, Sequence[Any], Any] = (0, (), ()),
    ) -> PairBatch:
        """Up to `room` right and wrong texts, and this process's labelled texts (alone, if `room` is 0) out of
        `labelled` in all processes; of `judged`, its number in all processes, this process's texts and their verdicts;
        still on the host."""
        window, pad = self.cfg.scoring.length, self.tokenizers["reward"].pad_id
        most = sum(-(-count // self.share.shares) for count in (labelled, judged[0]))
        # A pair is one unit; beside pairs, two labelled texts take the room of one.
        units, longest = (room + -(-most // 2), 2 * window) if room else (most, window)
        into = self._room(units, longest, 2 * window, self.cfg.reward.micro_batch)
        return PairBatch(*packing.pairs(pairs, texts, labels, into, pad, *judged[1:]), into.parts)

    def packed_worked(self, texts: Sequence[tuple[np.ndarray, np.ndarray]], count: int, longest: int) -> Worked:
        """This process's prompts and completions to imitate, each of at most `longest` tokens, out of `count` in all
        processes; still on the host."""
        into = self._room(-(-count // self.share.shares), longest, 2 * longest, self.cfg.policy.micro_batch)
        token_RU, segment_RU, real_RU = packing.worked(texts, into, self.tokenizers["policy"].pad_id)
        nothing = token_RU[:, :0]
        return Worked(nothing, nothing.astype(bool), token_RU, real_RU, segment_RU, into.parts)

    def packed_completions(self, prompts: Prompts, real_BT: np.ndarray) -> Packing:
        """Where the policy's update finds prompts and completions; still on the host."""
        slots = prompts.real_PS.shape[1] + real_BT.shape[1]
        into = self._room(len(real_BT), slots, 2 * slots, self.cfg.policy.micro_batch)
        source_RU, segment_RU = packing.completions(prompts.real_PS, real_BT, into)
        return Packing(self._place(source_RU, len(real_BT), slots), segment_RU, into.parts)

    def _room(self, texts: int, longest: int, length: int, micro_batch: int) -> packing.Shape:
        """This process's share of the packed rows."""
        own = self.share
        return packing.shape(texts, longest, length, -(-micro_batch // own.shares), len(own.parts))

    def _place(self, place: np.ndarray, rows: int, slots: int) -> np.ndarray:
        """Places row * slots + slot of this process's `rows` rows -> places among the rows of all."""
        row, slot = np.divmod(place, slots)
        return (self.share.rows(rows * self.share.shares)[row] * slots + slot).astype(np.int32)

    def read(self, token_BT: np.ndarray, real_BT: np.ndarray) -> list[str]:
        """The policy's completions as text."""
        return encode.decode(token_BT, real_BT, self.tokenizers["policy"])


def machine(cfg: Config, run_dir: str = "", /, **models: Trainee) -> Machine:
    """Set up devices, verifier, and shapes and tokenizers of `models`, named policy and reward.

    A run in `run_dir` that is to be continued has what it needs of them, should their folders be gone.

    Raises UserError where a model or its tokenizer does not suit, or a batch does not divide over the mesh.
    """
    hosts.start()
    with hosts.together():
        keep_compiled(cfg.compile_cache)
        mesh = sharding.make_mesh(cfg.mesh)
        sharding.share(mesh)
        run_dir = run_dir if run_dir and directory.begun(run_dir) else ""
        models = {name: start.resolve(name, trainee, run_dir) for name, trainee in models.items()}
        cfg = replace(cfg, **{name: replace(getattr(cfg, name), model=models[name].model) for name in models})
        tokenizers = {
            name: start.tokenizer(name, trainee, cfg.data.source, run_dir) for name, trainee in models.items()
        }
        for name, trainee in models.items():
            weights.check_mesh(name, trainee.model, mesh)
    hosts.same("the processes' versions", {name: version(name) for name in ("cooper_jax", "jax", "jaxlib")})
    settings = flat(json.loads(to_json(cfg)))
    hosts.same("the processes' settings", {name: settings[name] for name in settings if name not in _OWN})
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
