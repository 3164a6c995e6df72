"""`LM`: language modelling over streams of text (paper, section on language modelling)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memoria.experiments.base import Experiment
from memoria.experiments.folder import Run
from memoria.experiments.lm.config import LMConfig
from memoria.experiments.metric import Metric

__all__ = ["LM"]


class LM(Experiment[LMConfig]):
    """Each row of a batch is one long stretch of the text, read segment by segment."""

    name = "lm"
    summary = "Predict a text that is read one segment at a time: WikiText-103, PG-19, enwik8."
    Config = LMConfig
    metrics = (
        Metric("perplexity", "perplexity of a token", "lower"),
        Metric("bits_per_character", "bits per character", "lower"),
    )

    def execute(self, config: LMConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.lm.task import LMTask
        from memoria.experiments.trainer import train

        return train(config, run, lambda crew: LMTask(config, crew))
