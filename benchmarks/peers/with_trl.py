"""The step of workload.py as TRL's GRPOTrainer takes it: transformers' generate, torch on the CPU.

    PYTHONPATH=benchmarks .bench/trl/bin/python benchmarks/peers/with_trl.py [--steps 10] [--model FOLDER] [--json OUT]

TRL does the least it can be asked for: no gradient checkpointing, one micro-batch (with a real model four, as ours), no
logging; threads that wait sleep rather than spin, which would count as CPU-seconds.
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
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

WORK: workload.Workload = GIVEN.work


def save_model(shape: workload.Shape, folder: Path) -> PreTrainedTokenizerFast:
    """Random weights of Qwen2 in `folder`, where the trainer finds the policy and the reference; the tokenizer."""
    torch.manual_seed(0)
    cfg = Qwen2Config(
        vocab_size=shape.vocab,
        hidden_size=shape.width,
        intermediate_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=256,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=True,
        pad_token_id=workload.PAD,
        eos_token_id=workload.EOS,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(cfg).float().save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=workload.make_tokenizer(shape),
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
        per_device_train_batch_size=WORK.peer_rows,
        gradient_accumulation_steps=WORK.rows // WORK.peer_rows,
        num_generations=WORK.group,
        max_completion_length=WORK.completion_len,
        generation_kwargs={"min_new_tokens": WORK.completion_len},
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        shuffle_dataset=False,
        num_iterations=1,
        beta=WORK.kl_weight,
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
        assert lengths == [WORK.completion_len] * WORK.rows, lengths
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


def reward(completions: list[Any], **_: Any) -> list[float]:
    """Reward of decoded completions: texts, or messages where prompts are messages."""
    return [WORK.reward(each if isinstance(each, str) else each[0]["content"]) for each in completions]


def main() -> None:
    """Run, print the figures, and write them to `--json`."""
    clock = workload.Clock(WORK)
    steps = WORK.steps_in_all(GIVEN.steps)
    texts = [text for texts in WORK.texts(steps) for text in texts]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if isinstance(WORK.model, str):
            tokenizer = AutoTokenizer.from_pretrained(WORK.model, padding_side="left")
            prompts: list[Any] = [[{"role": "user", "content": text}] for text in texts]
        else:
            tokenizer = save_model(WORK.model, folder)
            prompts = texts
        trainer = Timed(
            model=WORK.model if isinstance(WORK.model, str) else str(folder),
            reward_funcs=reward,
            args=configuration(folder, steps),
            train_dataset=Dataset.from_list([{"prompt": prompt} for prompt in prompts]),
            processing_class=tokenizer,
        )
        trainer.clock = clock
        trainer.add_callback(Marks(trainer))
        trainer.train()
    modules = {"trl": trl, "transformers": transformers, "torch": torch}
    clock.report(GIVEN, {name: module.__version__ for name, module in modules.items()})


if __name__ == "__main__":
    main()
