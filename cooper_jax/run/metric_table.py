"""What each figure of metrics.jsonl means. docs/metrics.md is this table: python -m cooper_jax.run.metric_table"""

import re
from fnmatch import fnmatchcase
from typing import Any

TABLE: dict[str, dict[str, str]] = {
    "What the policy is paid": {
        "reward/mean": "mean reward of the step's completions",
        "reward/std": "their standard deviation",
        "reward/group_std": "standard deviation inside a group, mean over groups",
        "reward/zero_std_groups": "share of groups without contrast: they teach nothing",
        "reward/floored_groups": "share of groups whose std `grpo.std_floor` replaced",
    },
    "The rule on the same completions": {
        "rule/accuracy": "share with the verdict right",
        "rule/unknown": "share with the verdict unknown",
    },
    "The reward model as a classifier of the rule's verdicts (unknown left out), at score 1/2": {
        "score/agreement": "share of verdicts it agrees with",
        "score/precision": "of the completions it calls right, the share that is",
        "score/recall": "of the right completions, the share it calls right",
        "score/false_positive_rate": "of the wrong completions, the share it calls right. It rises when the policy "
        "hacks the reward model, long before accuracy falls",
        "score/auroc": "chance that a right completion scores above a wrong one",
        "score/gap": "mean score - rule accuracy",
    },
    "The policy's update": {
        "policy/loss": "GRPO's loss, KL penalty included",
        "policy/grad_norm": "norm of the gradient, before clipping",
        "policy/kl": "divergence from the reference, a token",
        "policy/entropy": "of the policy, a token",
        "policy/clip_fraction": "share of tokens whose ratio was clipped",
        "policy/sampler_ratio": "trainer's probability over the sampler's, mean over tokens: 1 where both agree",
        "policy/sampler_gap": "distance of their log-probs, mean over tokens: 0 where both agree",
        "policy/skipped": "updates left out, since their gradient was not finite; the model stays as it was",
        "policy/slots_filled": "share of what the update computed that was no padding",
    },
    "Pairs": {
        "pairs/valid": "pairs made. Without any, Cooper is a static reward model: such a run warns, then stops",
        "pairs/valid_rate": "share of the slots that became pairs",
        "pairs/on_policy": "pairs whose negative is a sample of the policy",
        "pairs/questions_with_positive": "questions with a right completion",
        "pairs/assistant_asked": "rewritings asked for",
        "pairs/assistant_refused": "rewritings not taken",
        "pairs/refused_*": "why: unfinished, right, unknown (the rule's verdict), no_answer, length, form",
        "pairs/style_accuracy": "how well form alone tells the sides of pairs apart; 1/2 is chance, and near 1 the "
        "reward model learns form",
        "pairs/false_equations_right": "share of the pairs whose right side has an equation between plain "
        "numbers that is false, beyond rounding (7 + 5 = 13)",
        "pairs/false_equations_wrong": "the same of the wrong side. Far above the right side's, the reward model "
        "can part the pairs by checking sums, and never read the reference",
        "assistant/*": "a server's counts: requests, retries, cached, circuit_open, given_up, unfinished",
    },
    "The reward model's update (left out of a step without pairs)": {
        "rm_update/loss": "pair loss, with anchor and replay",
        "rm_update/grad_norm": "norm of the gradient, before clipping",
        "rm_update/accuracy": "share of pairs whose right side scores higher",
        "rm_update/margin": "logit of the right side - logit of the wrong one",
        "rm_update/right": "mean score of right sides",
        "rm_update/wrong": "mean score of wrong sides",
        "rm_update/skipped": "updates left out, since their gradient was not finite; the model stays as it was",
        "rm_update/slots_filled": "share of what the update computed that was no padding",
    },
    "Completions": {
        "completion/length": "mean length in tokens",
        "completion/tokens": "tokens sampled in the step",
        "completion/truncated": "share that hit the length limit",
    },
    "Held-out questions (a policy), or held-out labelled rows (`fit-reward`)": {
        "eval/accuracy": "share right; of several samples, their mean (avg@k). Of a reward model, at score 1/2",
        "eval/standard_error": "of the accuracy, over questions",
        "eval/majority": "maj@k: share of questions whose most frequent answer is right",
        "eval/pass@*": "chance that one of so many samples is right",
        "eval/unknown": "share of completions with the verdict unknown",
        "eval/truncated": "share that hit the length limit",
        "eval/length": "mean length in tokens",
        "eval/questions": "questions asked",
        "eval/samples": "completions of each",
        "eval/precision": "as under `score/`, against labels; and so the next three",
        "eval/recall": "",
        "eval/false_positive_rate": "",
        "eval/auroc": "",
        "eval/ece": "expected calibration error",
    },
    "`fit-reward` and `sft`": {
        "fit/*": "loss, accuracy, grad_norm, skipped and slots_filled of the reward model's fit",
        "sft/*": "loss, entropy, grad_norm, skipped and slots_filled of supervised fine-tuning",
        "eval/loss": "of `sft`: mean cross-entropy of the tokens of held-out completions",
    },
    "Time": {
        "seconds/step": "wall time that the step added",
        "seconds/*": "of each phase; `verify` and `wait` are only the time spent waiting for verdicts and the device",
        "tokens_per_second": "tokens sampled over the wall time of the step",
    },
}


def explained(name: str) -> bool:
    """Whether the table has the figure `name`."""
    return any(fnmatchcase(name, pattern) for group in TABLE.values() for pattern in group)


def charts() -> dict[str, dict[str, list[Any]]]:
    """The table as TensorBoard's layout of custom scalars: a section a group, a chart a line."""
    tag = lambda name: f"^{re.escape(name).replace(re.escape('*'), '.*')}$"  # noqa: E731
    return {title: {name: ["Multiline", [tag(name)]] for name in group} for title, group in TABLE.items()}


def markdown() -> str:
    """The table as a page."""
    lines = [
        "# Metrics",
        "",
        "One record a step in `metrics.jsonl`; `step` counts from 1. TensorBoard and W&B get the same, and tables of",
        "the samples and pairs that lie in `samples/` and `pairs/`; TensorBoard's custom scalars have the sections of "
        "this page.",
    ]
    for title, group in TABLE.items():
        lines += ["", f"## {title}", "", "| figure | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {meaning} |" for name, meaning in group.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
