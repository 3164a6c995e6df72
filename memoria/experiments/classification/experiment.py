"""`Classification`: documents of several segments (paper, section on classification)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memoria.experiments.base import Experiment
from memoria.experiments.classification.config import ClassificationConfig
from memoria.experiments.folder import Run
from memoria.experiments.metric import Metric

__all__ = ["Classification"]


class Classification(Experiment[ClassificationConfig]):
    """A document segment by segment; its label is asked with only the last one in sight."""

    name = "classification"
    summary = "Tell documents of several segments apart: Hyperpartisan, or any labelled JSON lines."
    Config = ClassificationConfig
    metrics = (
        Metric("macro_f1", "macro F1", "higher"),
        Metric("accuracy", "accuracy", "higher"),
    )

    def execute(self, config: ClassificationConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.classification.task import ClassificationTask
        from memoria.experiments.trainer import train

        return train(config, run, lambda crew: ClassificationTask(config, crew))
