"""Which settings each program reads: what its help shows, what its command line takes, what must not change when a run
is continued."""

_MACHINE = ("seed", "mesh", "compile_cache")
_VERIFIER = ("verifier.rule", "verifier.extract", "verifier.workers", "verifier.deadline")
_SAMPLER = ("rollout.prompt_len", "rollout.completion_len", "rollout.cache", "evaluation.batch")
_HELD_OUT = (
    "evaluation.questions", "evaluation.samples", "evaluation.batch", "evaluation.temperatures", "evaluation.top_p",
)  # fmt: skip
_LOOP = ("save_every", "keep", "max_skipped", "profile", "watchdog", "log.tensorboard", "log.wandb")

READS: dict[str, tuple[str, ...]] = {
    "sft": (
        "sft", "policy.model", "policy.tokenizer", "policy.micro_batch", "data", "prompting", *_SAMPLER,
        "assistant.kinds", *_VERIFIER, *_HELD_OUT, *_LOOP, *_MACHINE,
    ),
    "annotate": (
        "annotate", "policy.init", "policy.model", "policy.tokenizer", "data", "prompting", *_SAMPLER, "rollout.top_p",
        "verifier", *_MACHINE,
    ),
    "fit-reward": (
        "fit", "reward.model", "reward.tokenizer", "reward.micro_batch", "scoring", "data.source", "evaluation.batch",
        *_LOOP, *_MACHINE,
    ),
    "train": (
        "dir", "steps", "reward_source", "train_reward", "policy", "reward", "data", "prompting", "rollout", "grpo",
        "pairs", "scoring", "assistant", "fit.data", "verifier", "governor", "monitor", *_HELD_OUT, "eval_every",
        "keep_best", "stop", *_LOOP, "log.samples_every", "log.samples", *_MACHINE,
    ),
    "evaluate": (
        "dir", "evaluation", "policy.model", "policy.tokenizer", "reward.model", "reward.tokenizer", "data",
        "prompting", *_SAMPLER, "scoring", *_VERIFIER, *_MACHINE,
    ),
}  # fmt: skip
"""Dotted names, of settings or of whole sections, in the order in which a program uses them."""
_STORY = ("sft", "annotate", "fit-reward", "train")
READS["demo"] = tuple(dict.fromkeys(name for program in _STORY for name in READS[program]))


def reads(program: str, name: str) -> bool:
    """Whether a program reads the setting with the dotted name `name`."""
    return any(f"{name}.".startswith(f"{part}.") for part in READS[program])
