"""Small Hugging Face tokenizer folders, made in the test: byte-level BPE with a chat template, of two families."""

import json
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

ROOT = Path(__file__).parent.parent
"""The repository."""
TEXTS = (
    "What is 12+34? Let us think step by step. 12+34=46, so the answer is \\boxed{46}.\n",
    "<question>What is 1+1?</question>\n<reference_answer>2</reference_answer>\n<completion>It is 2.</completion>\n",
    "Please reason step by step, and put your final answer within \\boxed{}. Größe … ≤ 3\n",
)
QWEN_CHAT = (
    "{%- if messages[0].role != 'system' %}<|im_start|>system\nYou are helpful.<|im_end|>\n{% endif %}"
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA_CHAT = (
    "{{ bos_token }}{% if not date_string is defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "<|start|>system<|end|>Today: {{ date_string }}\n"
    "{%- for m in messages %}<|start|>{{ m.role }}<|end|>{{ m.content }}<|eot_id|>{% endfor %}"
    "{%- if add_generation_prompt %}<|start|>assistant<|end|>{% endif %}"
)
SPECIAL = {
    "qwen": ("<|endoftext|>", "<|im_start|>", "<|im_end|>"),
    "llama": ("<|begin_of_text|>", "<|end_of_text|>", "<|start|>", "<|end|>", "<|eot_id|>", "<|pad|>"),
}


def tokenizer_folder(folder: Path, family: Literal["qwen", "llama"], pad: bool = True, **settings: Any) -> str:
    """Write tokenizer files into `folder`; `settings` go into tokenizer_config.json, None removes one."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # pyright: ignore
    made.decoder = decoders.ByteLevel()  # pyright: ignore
    # The families get different vocabularies, so that one model's ids mean nothing to the other.
    trainer = trainers.BpeTrainer(
        vocab_size=350 if family == "qwen" else 330,
        special_tokens=list(SPECIAL[family]),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(TEXTS * 10, trainer)
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if family == "qwen":
        config |= {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "chat_template": QWEN_CHAT}
        stop = [2, 0]
    else:
        made.post_processor = processors.TemplateProcessing(  # pyright: ignore
            single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
        )
        config |= {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|pad|>"}
        config["chat_template"] = LLAMA_CHAT
        stop = [1, 4]
    config |= settings | ({} if pad else {"pad_token": None})
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": stop}))
    return str(folder)
