"""What transformers says of a model in a folder."""

from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification


def causal(folder: str) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder).eval()


def torch_ids(folder: str, prompt: list[int], length: int) -> list[int]:
    with torch.no_grad():
        out = causal(folder).generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=length, pad_token_id=0)
    return out[0, len(prompt) :].tolist()


def torch_logp(model: Any, prompt: list[int], completion: list[int], temperature: float = 1.0) -> np.ndarray:
    with torch.no_grad():
        logits = model(torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1].float() / temperature
    return torch.log_softmax(logits, -1)[range(len(completion)), completion].numpy()


def torch_scores(folder: str, texts: list[list[int]]) -> list[float]:
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return [model(torch.tensor([ids])).logits[0, 0].item() for ids in texts]
