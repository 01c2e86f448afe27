"""Text: questions and references, prompts, the reward model's template, the rule, and who rewrites."""

import json
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from cooper_jax.config.errors import check_types, require, require_placeholders
from cooper_jax.config.model import Model
from cooper_jax.config.processors import processors
from cooper_jax.config.prompts import REWRITE_PROMPT


@dataclass(frozen=True)
class Data:
    """Where questions and references come from; docs/data.md shows a row of each format."""

    source: str = "arithmetic"
    """The built-in task, a .jsonl or .json file (an object a line, or one array), a .parquet file, a published data set
    as NAME:PATH, such as `svamp:svamp.jsonl`, or `tfds:NAME[/CONFIG][:VERSION]`."""
    question: str = ""
    """Column of the question, text or chat messages; a dot goes into a nested column. Empty: recognised by its name."""
    answer: str = ""
    """Column of the reference answer, such as `reward_model.ground_truth`. Empty: recognised by its name."""
    answer_after: str = "####"
    """The reference is what follows this mark's last occurrence in the answer; without one, the whole answer."""
    bad_rows: Literal["stop", "skip"] = "stop"
    """A row that cannot be read ends the program, or is left out and counted."""
    evaluation: str = ""
    """Held-out source, as `source`; empty: one question in `held_out` is kept back, chosen by its checksum."""
    held_out: int = 20
    """One question in so many is held out, where `evaluation` names no source."""
    split: str = "train"
    """tfds: split of `source`."""
    evaluation_split: str = "test"
    """tfds: split of `evaluation`."""
    data_dir: str = ""
    """tfds: folder of prepared data sets; empty: tfds' own."""
    max_operand: int = 11
    """Built-in task: operands are 1..max_operand."""

    def __post_init__(self) -> None:
        check_types(self)
        require(2 <= self.max_operand <= 33, f"data.max_operand = {self.max_operand}: must be from 2 to 33")
        require(self.held_out >= 2, f"data.held_out = {self.held_out}: must be at least 2")


@dataclass(frozen=True)
class Prompting:
    """How a question becomes the policy's prompt. Questions that are chat messages already are taken as they are."""

    template: Literal["chat", "plain"] = "chat"
    """The tokenizer's chat template, or the text alone. The built-in task has but one form."""
    system: str = ""
    """System message; empty: none, or what the chat template puts in its place."""
    instruction: str = "{question}"
    """The question and what is asked about it. For Qwen, as in the paper: "{question}\\nPlease reason step by step, and
    put your final answer within \\\\boxed{}." """

    def __post_init__(self) -> None:
        check_types(self)
        count = self.instruction.count("{question}")
        require(
            count == 1,
            f"prompting.instruction = {self.instruction!r} holds {{question}} {count} times; write it exactly once, "
            "where the question is to stand",
        )


@dataclass(frozen=True)
class Scoring:
    """How the reward model reads: one template for its own training, for scoring and for both sides of a pair."""

    length: int = 2048
    """Tokens of a text given to the reward model; a longer completion loses its head, and a marker says so."""
    micro_batch: int = 0
    """Texts scored at one time, packed into the room of so many of the longest; 0: an eighth of a batch. Changes
    memory, not the result."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.length >= 1, f"scoring.length = {self.length}: must be at least 1")
        require(self.micro_batch >= 0, f"scoring.micro_batch = {self.micro_batch}: must not be negative")


Extraction = Literal["boxed", "hash", "phrase", "last", "auto"]


@dataclass(frozen=True)
class Verifier:
    """The rule verifier: worker processes that compare a completion with its reference."""

    rule: Literal["math", "arithmetic"] = "math"
    """How an answer is read: as mathematics, or as the built-in task's `#N`."""
    extract: Extraction = "boxed"
    """Where `math` finds the answer of a completion: the last `\\boxed{}` after any `</think>`; behind `####` (`hash`);
    behind "the answer is" (`phrase`); the `last` mathematics or number; or the first of these that applies (`auto`)."""
    workers: int = field(default_factory=processors)
    """Processes that verify; by default as many as this process may use processors."""
    deadline: float = 2.0
    """Seconds of computing for one verdict; then the worker is killed, replaced, and the verdict is `unknown`."""
    blind_by: Literal["", "question", "reference"] = ""
    """For experiments, a rule made brittle: some completions are unknown to it in training, by the checksum of their
    question or of their reference. Evaluation has the whole rule. Empty: none."""
    blind_share: float = 0.0
    """Share of all questions, or of all references, that it is blind to."""
    false_right: float = 0.0
    """For experiments: share of the wrong answers that it calls right in training, by the checksum of question and
    completion."""

    def __post_init__(self) -> None:
        check_types(self)
        require(self.workers >= 1, f"verifier.workers = {self.workers}: must be at least 1")
        require(self.deadline > 0, f"verifier.deadline = {self.deadline}: must be positive")
        for name in ("blind_share", "false_right"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"verifier.{name} = {value}: must be from 0 to 1")
        require(
            (self.blind_by != "") == (self.blind_share > 0),
            f"verifier.blind_by = {self.blind_by!r} with verifier.blind_share = {self.blind_share}: set both, or "
            "neither",
        )

    @property
    def brittle(self) -> bool:
        """Whether training sees other verdicts than the whole rule's."""
        return self.blind_by != "" or self.false_right > 0


@dataclass(frozen=True)
class Server:
    """An OpenAI-compatible server, asked at `{url}/chat/completions`; see `host/server.py`."""

    url: str = "http://127.0.0.1:8000/v1"
    """Base of the API."""
    model: str = ""
    """The name the server knows it by."""
    key_env: str = ""
    """Name of the environment variable that holds the key; empty: none is sent. The key itself is never in here."""
    temperature: float = 1.0
    """Of its sampling; 0 is greedy."""
    top_p: float = 1.0
    """Of its sampling."""
    max_tokens: int = 2048
    """Of one answer."""
    body: str = "{}"
    """JSON object laid over every request, for what a server knows beside the standard fields, such as
    '{"chat_template_kwargs": {"enable_thinking": false}}'; null takes a field out."""
    concurrency: int = 32
    """Requests under way at one time."""
    deadline: float = 60.0
    """Seconds for one attempt, to the last byte of its answer."""
    retries: int = 4
    """Further attempts after 408, 409, 429, 5xx, a broken connection, a missed deadline or a malformed answer."""
    backoff: float = 0.5
    """Seconds: the first wait is drawn from 0 to this, each later one from twice the range."""
    longest_wait: float = 30.0
    """Seconds; no wait is longer. A request whose server asks for more (Retry-After) is given up."""
    breaker_failures: int = 16
    """After so many failed attempts in a row, of whatever requests, the circuit opens: calls fail at once."""
    breaker_seconds: float = 30.0
    """An open circuit lets one attempt through every so many seconds, and closes when one succeeds."""
    cache: str = ""
    """File that keeps answers by the hash of what was asked, so that a program that is continued asks nothing twice;
    empty: `replies.jsonl` in the directory of the run."""

    def __post_init__(self) -> None:
        check_types(self)
        require(
            "@" not in self.url,
            "server.url holds a user or password; put the key into the environment variable that server.key_env names",
        )
        try:
            parts = urlsplit(self.url)
            plain = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not parts.query
        except ValueError:
            plain = False
        require(plain, f"server.url = {self.url!r}: give the base of the API, such as http://127.0.0.1:8000/v1")
        for name in ("max_tokens", "concurrency", "breaker_failures"):
            value = getattr(self, name)
            require(value >= 1, f"server.{name} = {value}: must be at least 1")
        for name in ("deadline", "backoff", "longest_wait", "breaker_seconds"):
            value = getattr(self, name)
            require(value > 0, f"server.{name} = {value}: must be positive")
        require(self.retries >= 0, f"server.retries = {self.retries}: must not be negative")
        require(self.temperature >= 0, f"server.temperature = {self.temperature}: must not be negative")
        require(0 < self.top_p <= 1, f"server.top_p = {self.top_p}: must be in (0, 1]")
        try:
            readable = isinstance(json.loads(self.body), dict)
        except ValueError:
            readable = False
        require(readable, f"server.body = {self.body!r}: must be a JSON object, such as '{{\"top_k\": 20}}'")


@dataclass(frozen=True)
class MeshModel:
    """A model on the mesh that is asked and never trained; see `run/frozen.py`."""

    init: str = ""
    """Hugging Face folder of an instruction-tuned model, or run directory of which the policy is taken."""
    model: Model = field(default_factory=Model)
    tokenizer: str = ""
    """Folder with the tokenizer's files; empty: that of `init`, or the built-in task's."""
    prompt_len: int = 2048
    """Tokens; a longer prompt gets no reply."""
    completion_len: int = 2048
    """Tokens; a text that reaches them unfinished is no reply."""
    temperature: float = 1.0
    """Of its sampling; 0 is greedy."""
    top_p: float = 1.0
    """Of its sampling."""
    batch: int = 64
    """Prompts at a time, as a judge. As an assistant, the slots of a step's pairs."""

    def __post_init__(self) -> None:
        check_types(self)
        for name in ("prompt_len", "completion_len", "batch"):
            value = getattr(self, name)
            require(value >= 1, f"mesh model: {name} = {value}: must be at least 1")
        require(self.temperature >= 0, f"mesh model: temperature = {self.temperature}: must not be negative")
        require(0 < self.top_p <= 1, f"mesh model: top_p = {self.top_p}: must be in (0, 1]; 1 keeps every token")


Rewriting = Literal[
    "answer", "intermediate", "final", "hedge", "omit", "retract", "repeat", "garble", "truncate", "opener"
]


@dataclass(frozen=True)
class Assistant:
    """Who rewrites a right completion into a wrong one; see `host/negatives/assistant.py`."""

    kind: Literal["rule", "server", "mesh"] = "rule"
    """rule: by rules, for the built-in task or for mathematical text, as the data source has it; server: a model behind
    a server; mesh: a frozen model on the policy's mesh."""
    kinds: tuple[Rewriting, ...] = ("answer", "intermediate")
    """By rule, one is drawn for each rewriting. `answer` and `intermediate` are faithful: nothing in the text
    contradicts the wrong answer. `truncate` and `opener` state none."""
    server: Server = field(default_factory=Server)
    mesh: MeshModel = field(default_factory=MeshModel)
    prompt: str = REWRITE_PROMPT
    """What a model is asked; {question}, {reference} and {completion} are put in."""

    def __post_init__(self) -> None:
        check_types(self)
        require(
            self.kind != "mesh" or self.mesh.init != "",
            'assistant.kind = "mesh" without a model; give its folder in assistant.mesh.init',
        )
        require(len(self.kinds) > 0, "assistant.kinds is empty: name at least one kind of rewriting")
        require(
            self.kind != "server" or self.server.model != "",
            'assistant.kind = "server" without a model; name it in assistant.server.model',
        )
        # A model trained to rewrite, as the built-in task's, may do without the reference.
        asked = ("question", "completion") if self.kind == "mesh" else ("question", "reference", "completion")
        require_placeholders("assistant.prompt", self.prompt, *asked)
