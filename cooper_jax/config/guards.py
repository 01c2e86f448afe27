"""What watches over co-training: the monitor, which speaks, and the governor, which holds the policy back."""

from dataclasses import dataclass
from typing import Literal

from cooper_jax.config.errors import check_types, require


@dataclass(frozen=True)
class Monitor:
    """Says when the policy hacks its reward model, from figures smoothed over the last steps."""

    action: Literal["warn", "train-reward", "stop"] = "warn"
    """When it is alarmed. warn: say so; train-reward: as long as it lasts, repeat the reward model's update
    `governor.repeats` times as well (where none is trained, only warn); stop: end the run, saved. Whoever runs it again
    goes on."""
    decay: float = 0.8
    """Weight of what was before a step, in every smoothed count; .8 looks back over five steps or so."""
    false_positive_rate: float = 0.4
    """Alarming above this, of the completions proved wrong, is the share scored over 1/2, with `gap` beside it."""
    gap: float = 0.1
    """Alarming above this, with `false_positive_rate` beside it, is mean score - accuracy where there are verdicts."""
    unread_gap: float = 0.15
    """Alarming above this, alone, is the mean score where the verdict is unknown - accuracy where there are
    verdicts."""
    after: int = 5
    """Steps before the first alarm."""

    def __post_init__(self) -> None:
        check_types(self)
        require(0 <= self.decay < 1, f"monitor.decay = {self.decay}: must be at least 0 and under 1")
        for name in ("false_positive_rate", "gap", "unread_gap"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"monitor.{name} = {value}: must be from 0 to 1; 1 turns it off")
        require(self.after >= 0, f"monitor.after = {self.after}: must not be negative")


@dataclass(frozen=True)
class Governor:
    """Holds the policy back while its reward model is worse than chance allows to learn from."""

    least_j: float = 0.0
    """Youden's J of the reward model, recall - false-positive rate on the step's verdicts. Under this the policy's
    update is left out and the reward model's repeated. 0: off. The verdicts must then be known before the policy's
    update, and no longer come while the device computes it."""
    repeats: int = 3
    """Further passes of the reward model over the step's pairs, each of `pairs.updates`."""

    def __post_init__(self) -> None:
        check_types(self)
        require(0 <= self.least_j <= 1, f"governor.least_j = {self.least_j}: must be from 0 to 1")
        require(self.repeats >= 1, f"governor.repeats = {self.repeats}: must be at least 1")
