"""`Sorting`: the paper's sorting experiment (section on sorting; recipe of infinity-former)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memoria.experiments.base import Experiment
from memoria.experiments.folder import Run
from memoria.experiments.metric import Metric
from memoria.experiments.sorting.config import SortingConfig

__all__ = ["Sorting"]


class Sorting(Experiment[SortingConfig]):
    """A long sequence segment by segment, then the answer without any of it in sight."""

    name = "sorting"
    summary = "Sort symbols by how often they came in a sequence much longer than a segment."
    Config = SortingConfig
    metrics = (
        Metric("accuracy", "accuracy of the answers", "higher"),
        Metric("loss", "loss of the answers, nats", "lower"),
    )

    def execute(self, config: SortingConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.sorting.task import SortingTask
        from memoria.experiments.trainer import train

        return train(config, run, lambda crew: SortingTask(config, crew))

    def reference(self, config: SortingConfig) -> Mapping[str, float]:
        """Exact counts of the last 1, 2, 4... segments, and chance, on the test split."""
        from memoria.experiments.sorting.sequences import oracle, sequences

        numbers = range(config.held_out)
        tokens, targets = sequences(
            config.length, config.symbols, config.data_seed, "test", numbers
        )
        left = range(config.symbols, 0, -1)
        found = {"guessing": sum(1 / one for one in left) / config.symbols}
        seen = 1
        while seen * config.segment < config.length:
            name = "last segment counted" if seen == 1 else f"last {seen} segments counted"
            found[name] = oracle(tokens, targets, seen * config.segment)
            seen *= 2
        found["everything counted"] = oracle(tokens, targets, config.length)
        return found
