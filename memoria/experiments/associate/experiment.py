"""The experiment ``associate``: what belongs to what, told in one segment and asked for later.

What is told stands in `memoria.experiments.associate.episodes`.
"""

from __future__ import annotations

from collections.abc import Mapping

from memoria.experiments.associate.config import AssociateConfig
from memoria.experiments.experiment import Metric, TrainedExperiment


class Associate(TrainedExperiment[AssociateConfig]):
    """Facts among hay, told in segments before the one that asks for them."""

    name = "associate"
    summary = "What belongs to what: key-value pairs (MQAR, needles), variables, stories."
    Config = AssociateConfig
    task = "memoria.experiments.associate.task:AssociateTask"
    metrics = (
        Metric("accuracy", "right, told before", "higher"),
        Metric("accuracy_near", "right, told beside", "higher"),
        Metric("loss", "loss of the answers, nats", "lower"),
    )

    def check(self, config: AssociateConfig) -> None:
        from memoria.experiments.books import check_books

        super().check(config)
        if config.hay == "books":
            check_books(config.data)

    def reference(self, config: AssociateConfig) -> Mapping[str, float]:
        """One who knows which values there are, and nothing of the episode."""
        return {"guessing": 1 / (config.places if config.kind == "stories" else config.symbols)}
