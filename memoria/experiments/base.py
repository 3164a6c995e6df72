"""`Experiment`: what can be run, with which configuration, and what it measures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from memoria.experiments.config_base import ExperimentConfig
from memoria.experiments.folder import Run
from memoria.experiments.metric import Metric
from memoria.experiments.records import RunRecord

__all__ = ["Experiment"]

C = TypeVar("C", bound=ExperimentConfig)


class Experiment(ABC, Generic[C]):
    """One kind of experiment. Stateless: a run's state lives in its `Run`.

    Modules of experiments load torch and the like inside `execute`, not when they are imported.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Config: type[C]
    metrics: ClassVar[Sequence[Metric]]  # the first is the one that counts

    @abstractmethod
    def execute(self, config: C, run: Run) -> Mapping[str, Any]:
        """Do the one run of ``config.model`` with ``config.seed``; its final numbers by name.

        Rows go to ``run.log``, arrays to ``run.array``. It is called again after a kill, with
        what the last ``run.checkpoint`` kept in ``run.restored()``, and must then end with the
        same numbers. ``run.progress`` is called now and then; it raises KeyboardInterrupt when
        the run shall stop.
        """

    def reference(self, config: C) -> Mapping[str, float]:
        """Figures to hold the results against, by a name for people, in the first metric."""
        return {}

    def tell(self, records: Sequence[RunRecord]) -> list[str]:
        """What finished runs say together, in plain words, a sentence each."""
        return []

    def draw(self, records: Sequence[RunRecord], folder: Path) -> list[Path]:
        """Plots of finished runs as files in ``folder``. Raises `MissingExtraError`.

        By default the first metric as it was validated during training, one line a model.
        """
        from memoria.experiments.curves import draw_curves

        path = folder / "curves.png"
        return [path] if draw_curves(records, self.metrics[0], path) else []
