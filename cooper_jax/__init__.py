"""Cooper (arXiv 2508.05613) in JAX: the policy and its reward model, optimised together. Start at `cooper.py`."""

__version__ = "0.1.0"
