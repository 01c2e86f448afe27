"""The step of workload.py as TRL's GRPOTrainer takes it: transformers' generate, torch on the CPU.

    PYTHONPATH=benchmarks .bench/trl/bin/python benchmarks/peers/with_trl.py [--steps 10] [--json OUT]

TRL does the least it can be asked for: no gradient checkpointing, one micro-batch, no logging; threads that wait sleep
rather than spin, which would count as CPU-seconds.
"""

# ruff: noqa: E402

import os
import tempfile
from pathlib import Path
from typing import Any

import workload

GIVEN = workload.arguments(__doc__)
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""}
os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "TRL_DISABLE_USAGE_STATS": "1"}

import torch
import transformers
import trl
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

ROWS = workload.PROMPTS * workload.GROUP


def save_model(folder: Path) -> PreTrainedTokenizerFast:
    """Random weights of Qwen2 in `folder`, where the trainer finds the policy and the reference; the tokenizer."""
    torch.manual_seed(0)
    cfg = Qwen2Config(
        vocab_size=workload.VOCAB,
        hidden_size=workload.WIDTH,
        intermediate_size=workload.HIDDEN,
        num_hidden_layers=workload.LAYERS,
        num_attention_heads=workload.HEADS,
        num_key_value_heads=workload.KV_HEADS,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": workload.ROPE_THETA},
        tie_word_embeddings=True,
        pad_token_id=workload.PAD,
        eos_token_id=workload.EOS,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(cfg).float().save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=workload.make_tokenizer(),
        pad_token="<pad>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def configuration(folder: Path, steps: int) -> GRPOConfig:
    """The workload in TRL's words. `min_new_tokens` makes every row run its full length."""
    return GRPOConfig(
        output_dir=str(folder / "out"),
        use_cpu=True,
        bf16=False,
        max_steps=steps,
        per_device_train_batch_size=ROWS,
        gradient_accumulation_steps=1,
        num_generations=workload.GROUP,
        max_completion_length=workload.COMPLETION_LEN,
        generation_kwargs={"min_new_tokens": workload.COMPLETION_LEN},
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        shuffle_dataset=False,
        num_iterations=1,
        beta=workload.KL_WEIGHT,
        epsilon=workload.CLIP,
        loss_type="dapo",
        learning_rate=workload.LEARNING_RATE,
        lr_scheduler_type="constant_with_warmup",
        warmup_steps=workload.WARM_UP,
        weight_decay=workload.WEIGHT_DECAY,
        max_grad_norm=workload.GRAD_CLIP,
        gradient_checkpointing=False,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        model_init_kwargs={"dtype": "float32", "attn_implementation": "sdpa"},
    )


class Timed(GRPOTrainer):
    """The trainer with its phases read: each is a method of its own but the update, which is what follows them."""

    clock: workload.Clock
    prepared = 0.0

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        with self.clock.phase("rollout"):
            completions, logps = super()._generate_single_turn(*args, **kwargs)
        lengths = [len(row) for row in completions]
        assert lengths == [workload.COMPLETION_LEN] * ROWS, lengths
        return completions, logps

    def _get_per_token_logps_and_entropies(self, model: Any, *args: Any, **kwargs: Any) -> Any:
        if model is not self.ref_model:
            return super()._get_per_token_logps_and_entropies(model, *args, **kwargs)
        with self.clock.phase("reference"):
            return super()._get_per_token_logps_and_entropies(model, *args, **kwargs)

    def _generate_and_score_completions(self, *args: Any, **kwargs: Any) -> Any:
        batch = super()._generate_and_score_completions(*args, **kwargs)
        self.prepared = workload.cpu_seconds()
        return batch


class Marks(TrainerCallback):
    """Where training and each step begin and end."""

    def __init__(self, trainer: Timed) -> None:
        self.trainer = trainer

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.trainer.clock.begin()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        clock = self.trainer.clock
        clock.cpu["update"].append(workload.cpu_seconds() - self.trainer.prepared)
        clock.end_step()


def reward(completions: list[str], **_: Any) -> list[float]:
    """Reward of decoded completions."""
    return [workload.reward(text) for text in completions]


def main() -> None:
    """Run, print the figures, and write them to `--json`."""
    clock = workload.Clock()
    steps = workload.steps_in_all(GIVEN.steps)
    rows = [{"prompt": text} for texts in workload.prompts(steps) for text in texts]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer = save_model(folder)
        trainer = Timed(
            model=str(folder),
            reward_funcs=reward,
            args=configuration(folder, steps),
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )
        trainer.clock = clock
        trainer.add_callback(Marks(trainer))
        trainer.train()
    modules = {"trl": trl, "transformers": transformers, "torch": torch}
    clock.report(GIVEN, {name: module.__version__ for name, module in modules.items()})


if __name__ == "__main__":
    main()
