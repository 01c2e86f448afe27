"""Config -> Run: the only factory. A Run is a context manager that owns everything with a life of its own."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cooper_jax import config
from cooper_jax.config import Config, Trainee, UserError, require
from cooper_jax.device import jits, keys, loading
from cooper_jax.device.state import Judged, ModelState, Packing, Pairs, Prompts
from cooper_jax.host import arithmetic
from cooper_jax.host.negatives.assistant import ArithmeticAssistant, Assistant, ServerAssistant
from cooper_jax.host.negatives.mathematics import MathAssistant
from cooper_jax.host.negatives.style import Style
from cooper_jax.host.server import Server
from cooper_jax.host.text import data, encode, packing, tokenizer
from cooper_jax.host.text.data import Problem, Problems, Stream
from cooper_jax.host.verifier import rule
from cooper_jax.host.verifier.pool import Pool
from cooper_jax.mesh import sharding
from cooper_jax.model import hf, weights
from cooper_jax.model.sample import Sampling
from cooper_jax.run import checkpoint
from cooper_jax.run.frozen import Frozen, MeshAssistant

# Parts of the seed: each use of randomness draws from its own stream.
POLICY_SEED, REWARD_SEED, ROLLOUT_SEED, PAIRS_SEED, DATA_SEED, REPLAY_SEED = range(6)


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

    def judged(self, problems: Sequence[Problem], texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of texts in the reward model's template."""
        return encode.judged(problems, texts, self.tokenizers["reward"], self.cfg.judging.length)

    def packed(self, texts: Sequence[np.ndarray]) -> Judged:
        """Texts to be scored, still on the host."""
        cfg = self.cfg.judging
        into = self._room(len(texts), cfg.length, 2 * cfg.length, cfg.micro_batch)
        token_RU, segment_RU, end_B = packing.judged(texts, into, self.tokenizers["reward"].pad_id)
        return Judged(token_RU, segment_RU, end_B + jax.process_index() * token_RU.size, into.parts)

    def packed_pairs(
        self, room: int, pairs: Sequence[tuple[np.ndarray, np.ndarray]], labelled: Sequence[np.ndarray], labels: Any
    ) -> Pairs:
        """Up to `room` right and wrong texts, and labelled texts (alone, if `room` is 0), still on the host."""
        window, pad = self.cfg.judging.length, self.tokenizers["reward"].pad_id
        # A pair is one unit; beside pairs, two labelled texts take the room of one.
        units, longest = (room + -(-len(labelled) // 2), 2 * window) if room else (len(labelled), window)
        into = self._room(units, longest, 2 * window, self.cfg.reward.micro_batch)
        return Pairs(*packing.pairs(pairs, labelled, labels, into, pad), into.parts)

    def packed_completions(self, prompts: Prompts, real_BT: np.ndarray) -> Packing:
        """Where the policy's update finds prompts and completions; still on the host."""
        slots = prompts.real_PS.shape[1] + real_BT.shape[1]
        into = self._room(len(real_BT), slots, 2 * slots, self.cfg.policy.micro_batch)
        source_RU, segment_RU = packing.completions(prompts.real_PS, real_BT, into)
        return Packing(source_RU + jax.process_index() * len(real_BT) * slots, segment_RU, into.parts)

    def _room(self, texts: int, longest: int, length: int, micro_batch: int) -> packing.Shape:
        """This process's share of the packed rows."""
        processes = jax.process_count()
        ways = self.mesh.shape["data"] * self.mesh.shape["fsdp"] // processes
        return packing.shape(texts, longest, length, -(-micro_batch // processes), ways)

    def read(self, token_BT: np.ndarray, real_BT: np.ndarray) -> list[str]:
        """The policy's completions as text."""
        return encode.decode(token_BT, real_BT, self.tokenizers["policy"])


@dataclass
class Labels:
    """Labelled completions, the rows of VerifyRM's parquet."""

    problems: list[Problem]
    completions: list[str]
    label_R: np.ndarray


NO_LABELS = Labels([], [], np.zeros(0, np.float32))


def machine(cfg: Config, **models: Trainee) -> Machine:
    """Set up devices, verifier, and shapes and tokenizers of `models`, named policy and reward.

    Raises UserError where a model or its tokenizer does not suit, or a batch does not divide over the mesh.
    """
    keep_compiled(cfg.compile_cache)
    mesh = sharding.make_mesh(cfg.mesh)
    models = {name: resolve(name, trainee) for name, trainee in models.items()}
    cfg = replace(cfg, **{name: replace(getattr(cfg, name), model=models[name].model) for name in models})
    tokenizers = {name: _tokenizer(name, trainee, cfg.data.source) for name, trainee in models.items()}
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
        path = Path(folder).expanduser()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"compiled programs are not kept: {path}: {error.strerror}; name another folder as --compile-cache")
            return
        jax.config.update("jax_compilation_cache_dir", str(path))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def resolve(name: str, trainee: Trainee) -> Trainee:
    """`trainee` with the shapes that it leaves open taken from its `init`, a Hugging Face folder or run directory.

    Raises UserError where they disagree, or where there is nothing to take.
    """
    where = trainee.init
    if hf.is_folder(where):
        found = hf.read_config(where).model
    elif trainee.model.given:
        return trainee
    else:
        require(where != "", f"{name}.model has no shapes; give them, or a folder to start from")
        found = getattr(config.from_json(Path(where) / "config.json"), _item(name)).model
        require(found.given, f"the run in {where} has no {name} model")
    return replace(trainee, model=hf.resolve(name, trainee.model, found, where))


def _item(name: str) -> Literal["policy", "reward"]:
    """Which model of a run a model starts from: a frozen one, such as an assistant, from the policy."""
    return "reward" if name == "reward" else "policy"


def ran(where: str) -> Config | None:
    """The configuration of the run in `where`; None of a Hugging Face folder. Raises UserError where neither lies."""
    require(Path(where).is_dir(), f"{where}: no such folder; give a Hugging Face folder, or the directory of a run")
    return None if hf.is_folder(where) else config.from_json(Path(where) / "config.json")


def _tokenizer(name: str, trainee: Trainee, source: str) -> encode.Tokenizer:
    """The tokenizer that a model's setting names, that beside its first weights, or the built-in task's."""
    beside = (f"{trainee.init}/tokenizer/{_item(name)}", trainee.init) if trainee.init else ()
    folder = trainee.tokenizer or next((path for path in beside if tokenizer.is_folder(path)), "")
    require(
        folder != "" or source == "arithmetic",
        f"{name}: no tokenizer lies in {trainee.init or 'init'}, and only the built-in task does without; "
        f"put its files there, or set {name}.tokenizer to a folder that has them",
    )
    made = tokenizer.Tokenizer(folder) if folder else arithmetic.Tokenizer()
    require(
        trainee.model.vocab >= len(made),
        f"{name}.model.vocab = {trainee.model.vocab} is smaller than the tokenizer's {len(made)} tokens; "
        f"use {len(made)} or more",
    )
    return made


def usable(found: Problems, here: Machine, training: bool, hint: str = "") -> list[Problem]:
    """The problems whose prompt fits, whose reference the rule can read and, in training, whose judging window holds.

    Prints what was read (in training) and what was left out. Raises UserError, with `hint`, where nothing is left.
    """
    cfg, before = here.cfg, len(found.kept)

    def drop_over(limit: int, sizes: np.ndarray, what: str, option: str) -> None:
        hint = f"raise --{option} to {max(sizes, default=0)} to keep them all"
        found.drop(f"{what} over {limit:,} tokens ({hint})", sizes > limit)

    sizes = encode.prompt_sizes(found.kept, here.tokenizers["policy"], cfg.prompting)
    drop_over(cfg.rollout.prompt_len, sizes, "with prompts", "rollout.prompt-len")
    if training and "reward" in here.tokenizers:
        sizes = encode.window_sizes(found.kept, here.tokenizers["reward"])
        drop_over(cfg.judging.length, sizes, "with question and reference", "judging.length")
    math = cfg.verifier.rule == "math"
    unreadable = [rule.unreadable(r) is not None if math else not r.isdecimal() for _, r, _ in found.kept]
    found.drop("with references that the rule cannot read", unreadable, lambda problem: f"{problem.reference:.40}")
    require(len(found.kept) > 0, f"no problem is left of {found}{hint}")
    if jax.process_index() == 0 and (training or len(found.kept) < before):
        print(f"{'training' if training else 'held-out'} data: {found}", flush=True)
    return found.kept


@dataclass
class Run:
    """Everything a Cooper step reads beside its state."""

    cfg: Config
    machine: Machine
    jits: jits.Jits
    reference: Any
    """The initial policy's weights, frozen; None without a KL penalty."""
    verifier: Pool
    """The rule as training sees it; evaluation always asks the machine's, which is never blind."""
    assistant: Assistant
    style: Style
    stream: Stream[Problem]
    replay: Labels
    """Rows to replay; none unless the configuration asks for them."""


def cooper_run(cfg: Config, here: Machine) -> tuple[Run, ModelState, ModelState | None]:
    """A Run of `cooper train` and the first states of both models."""
    drawn = cfg.rollout
    sharding.rows_divide(
        here.mesh,
        rollout__prompts=cfg.rollout.prompts,
        policy__micro_batch=0 if cfg.grpo.packed else cfg.policy.micro_batch,
    )
    policy = initial_state(cfg.policy, "policy", cfg, here)
    reward = initial_state(cfg.reward, "reward", cfg, here) if cfg.reward_source == "model" else None
    run = Run(
        cfg=cfg,
        machine=here,
        jits=jits.make_jits(cfg, here.sampling(drawn.group, drawn.temperature, drawn.top_p, drawn.top_k), here.mesh),
        # The update donates the policy's buffers: the reference needs its own.
        reference=loading.for_compute(policy.params, cfg.policy.model) if cfg.grpo.kl_weight else None,
        verifier=here.stack.enter_context(Pool(cfg.verifier, blind))
        if (blind := cfg.verifier.blind)
        else here.verifier,
        assistant=make_assistant(cfg, here),
        style=Style(cfg.pairs.style_every, cfg.pairs.style_window),
        stream=Stream(
            usable(data.training(cfg.data), here, training=True),
            steps_seed(cfg.seed, DATA_SEED),
            jax.process_index(),
            jax.process_count(),
        ),
        replay=read_labels(cfg.fit.data, here) if cfg.pairs.replay and cfg.train_reward else NO_LABELS,
    )
    return run, policy, reward


def frozen_model(name: str, cfg: config.Frozen, source: str, mesh: jax.sharding.Mesh, rows: int) -> Frozen:
    """A frozen model, loaded onto the mesh. Raises UserError as loading a policy does."""
    trainee = resolve(name, Trainee(cfg.model, init=cfg.init, tokenizer=cfg.tokenizer))
    weights.check_mesh(name, trainee.model, mesh)
    made = _tokenizer(name, trainee, source)
    params = loading.for_compute(load_params(cfg.init, "policy", trainee, mesh), trainee.model)
    return Frozen(cfg, trainee.model, params, made, mesh, rows)


def make_assistant(cfg: Config, here: Machine) -> Assistant:
    """Who rewrites: by rule, as the data source has it, or a model."""
    if cfg.assistant.kind == "mesh" and cfg.train_reward:
        rows = cfg.rollout.prompts * cfg.pairs.per_question
        model = frozen_model("assistant.mesh", cfg.assistant.mesh, cfg.data.source, here.mesh, rows)
        return MeshAssistant(model, cfg.assistant.prompt)
    if cfg.assistant.kind == "server":
        server = cfg.assistant.server
        server = replace(server, cache=server.cache or str(Path(cfg.dir) / "replies.jsonl"))
        return ServerAssistant(here.stack.enter_context(Server(server)), cfg.assistant.prompt)
    by_rule = ArithmeticAssistant if cfg.data.source == "arithmetic" else MathAssistant
    return by_rule(cfg.assistant.kinds)


def initial_state(trainee: Trainee, item: Literal["policy", "reward"], cfg: Config, here: Machine) -> ModelState:
    """A fresh optimizer on weights from `trainee.init`, or on random ones."""
    reward = item == "reward"
    updates = cfg.steps * (cfg.pairs.updates if reward else cfg.grpo.updates)
    key = keys.key_data(cfg.seed, REWARD_SEED if reward else POLICY_SEED)
    state = loading.init_state(trainee, reward, here.mesh, key, updates)
    if hf.is_folder(trainee.init):
        # Over the random weights: a score head that the folder lacks is the seed's.
        return replace(state, params=loading.load(state.params, hf.tensors(trainee.init, trainee.model, reward)))
    if trainee.init:
        state = replace(state, params=None)  # Never two sets of weights on the devices.
        state = replace(state, params=load_params(trainee.init, item, trainee, here.mesh))
    return state


def load_params(where: str, item: Literal["policy", "reward"], trainee: Trainee, mesh: jax.sharding.Mesh) -> Any:
    """Trained weights from a run directory's newest checkpoint or a Hugging Face folder, for use without training.

    Raises UserError: not there, damaged, of other shapes, or a reward model without a score head.
    """
    reward = item == "reward"
    like = weights.abstract(trainee.model, reward, mesh)
    if not hf.is_folder(where):
        return checkpoint.load_params(where, item, like)
    require(
        hf.read_config(where).scored or not reward,
        f"{where} holds a causal language model, which has no score head; train one on it with cooper fit-reward",
    )
    return loading.load(loading.blank(like), hf.tensors(where, trainee.model, reward))


def steps_seed(seed: int, part: int) -> int:
    """A seed of its own for one use of randomness."""
    return int(np.random.SeedSequence([seed, part]).generate_state(1)[0])


def read_labels(path: str, here: Machine) -> Labels:
    """Rows of a parquet file in VerifyRM's columns; those that overflow the judging window are left out and counted.

    Raises UserError naming file, row and rule.
    """
    require(
        Path(path).is_file(), f"{path}: no such file; make it with `cooper annotate`, or give another with --fit.data"
    )
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(f"{path} is not a parquet file: {error}") from None
    columns = ("question", "reference_answer", "completion", "label")
    missing = [c for c in columns if c not in table.column_names]
    require(not missing, f"{path} lacks the columns {missing}; it has {table.column_names}, needed are {list(columns)}")
    rows = table.select(columns).to_pylist()
    require(len(rows) > 0, f"{path} has no rows")
    for number, row in enumerate(rows):
        require(
            row["label"] in (0, 1) and all(isinstance(row[c], str) for c in columns[:3]),
            f"{path}, row {number}: {row}: question, reference_answer and completion must be text and label 0 or 1",
        )
    problems = [Problem(row["question"], row["reference_answer"]) for row in rows]
    limit = here.cfg.judging.length
    fits = encode.window_sizes(problems, here.tokenizers["reward"]) <= limit
    require(
        bool(fits.any()), f"{path}: no question and reference fit into judging.length = {limit}; raise --judging.length"
    )
    if not fits.all() and jax.process_index() == 0:
        print(f"{path}: {(~fits).sum():,} of {len(rows):,} rows left out: question and reference over {limit:,} tokens")
    kept = np.flatnonzero(fits)
    return Labels(
        [problems[i] for i in kept],
        [rows[i]["completion"] for i in kept],
        np.array([rows[i]["label"] for i in kept], np.float32),
    )
