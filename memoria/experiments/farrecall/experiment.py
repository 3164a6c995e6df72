"""`FarRecall`: a setting in which long-term memory is what makes the difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memoria.experiments.base import Experiment
from memoria.experiments.farrecall.config import FarRecallConfig
from memoria.experiments.folder import Run
from memoria.experiments.metric import Metric

__all__ = ["FarRecall"]


class FarRecall(Experiment[FarRecallConfig]):
    """Facts, then noise for longer than short-term memory lasts, then the questions."""

    name = "farrecall"
    summary = "Answer from facts that were shown long ago, with noise since."
    Config = FarRecallConfig
    metrics = (
        Metric("accuracy", "accuracy of the answers", "higher"),
        Metric("loss", "loss of the answers, nats", "lower"),
    )

    def execute(self, config: FarRecallConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.farrecall.task import FarRecallTask
        from memoria.experiments.trainer import train

        return train(config, run, lambda crew: FarRecallTask(config, crew))

    def reference(self, config: FarRecallConfig) -> Mapping[str, float]:
        """One who knows which values a fact may have, and nothing of the episode."""
        return {"guessing": 1 / config.values}
