"""`Experiment`: what can be run, with which configuration, and what it measures; all by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

from memoria.errors import ConfigError, MemoriaError, first_line
from memoria.experiments.config import ExperimentConfig
from memoria.experiments.records import RunRecord
from memoria.experiments.run import Run
from memoria.experiments.training_config import TrainingConfig

GROUP: Final = "memoria.experiments"  # of entry points, through which packages add experiments

C = TypeVar("C", bound=ExperimentConfig)
T = TypeVar("T", bound=TrainingConfig)


@dataclass(frozen=True)
class Metric:
    """A number that runs end with.

    Attributes:
        name: its key in the results.
        title: its name in tables and plots.
        better: "higher", "lower", or "" where neither is better.
    """

    name: str
    title: str
    better: str = ""

    @property
    def heading(self) -> str:
        """The title, with the direction that is better."""
        return f"{self.title} ({self.better} is better)" if self.better else self.title


ANSWER_METRICS: Final = (
    Metric("accuracy", "accuracy of the answers", "higher"),
    Metric("loss", "loss of the answers, nats", "lower"),
)


class Experiment(ABC, Generic[C]):
    """One kind of experiment. Stateless: the state of a run lives in its `Run`.

    Modules of experiments load torch and the like inside `execute`, not when they are imported.

    Attributes:
        name: what users call it.
        summary: one sentence for lists.
        Config: its settings, a subclass of `ExperimentConfig`.
        metrics: the numbers that every run ends with; the first is the one that counts.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Config: type[C]
    metrics: ClassVar[Sequence[Metric]]

    @abstractmethod
    def execute(self, config: C, run: Run) -> Mapping[str, Any]:
        """Do one run: that of ``config.model`` with ``config.seed``.

        After a kill it is called again, finds in ``run.restored()`` what the last
        ``run.checkpoint`` kept, and must end with the same numbers as an unbroken run.

        Args:
            config: settings of a single run.
            run: takes rows (``run.log``), arrays (``run.array``) and checkpoints. Call
                ``run.progress`` regularly: it raises KeyboardInterrupt when the run shall stop.

        Returns:
            The final numbers by name.
        """

    def check(self, config: C) -> None:
        """Find what would end every run at once, before any begins: called once for each variant.

        What a configuration alone can tell wrong, its constructor refuses already.

        Raises:
            MemoriaError: a setting of a model is unknown, or data is not there.
        """

    def reference(self, config: C) -> Mapping[str, float]:
        """Values of the first metric to compare results with, by a name for people."""
        return {}

    def tell(self, records: Sequence[RunRecord]) -> list[str]:
        """What finished runs show together, one plain sentence each."""
        return []

    def breakdown(self, records: Sequence[RunRecord]) -> list[dict[str, Any]]:
        """What finished runs ended with in parts, as rows with the same keys, for tables.

        Differences are to the variant of the first run.
        """
        return []

    def draw(self, records: Sequence[RunRecord], folder: Path) -> list[Path]:
        """Plot finished runs into files in ``folder``.

        By default: the first metric at each validation during training, one line a model.

        Args:
            records: finished runs.
            folder: where the files go.

        Returns:
            The files written.

        Raises:
            MissingExtraError: matplotlib is not installed.
        """
        from memoria.experiments.panels import draw_curves

        first = self.metrics[0]
        return draw_curves(records, first.name, first.heading, folder / "curves.png")


class TrainedExperiment(Experiment[T]):
    """An experiment whose every run trains one network.

    Attributes:
        task: the `Task` to train, as "module:class"; it is called with the run's configuration and
            the processes that train together, and imported when a run begins.
    """

    task: ClassVar[str]

    def check(self, config: T) -> None:
        config.check_networks()

    def execute(self, config: T, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.training import train

        task = EntryPoint(self.name, self.task, GROUP).load()
        return train(config, run, lambda processes: task(config, processes))


_BUILT_IN: Final = {
    name: EntryPoint(name, f"memoria.experiments.{name}.experiment:{kind}", GROUP)
    for name, kind in {
        "sorting": "Sorting",
        "lm": "LM",
        "classification": "Classification",
        "engrams": "Engrams",
        "farrecall": "FarRecall",
        "recall": "Recall",
        "evidence": "Evidence",
        "freerecall": "FreeRecall",
        "order": "Order",
        "recognition": "Recognition",
        "associate": "Associate",
    }.items()
}  # known without installed metadata too, as in a source tree


class _Experiments(Mapping[str, Experiment[Any]]):
    """Experiments by name, each imported when it is first asked for."""

    def __getitem__(self, name: str) -> Experiment[Any]:
        entry = _entries()[name]
        try:
            found: Experiment[Any] = entry.load()()
        except MemoriaError:
            raise
        except Exception as error:  # somebody else's package: anything can go wrong
            raise ConfigError(
                f"experiment {name!r} ({entry.value}) does not load: "
                f"{type(error).__name__}: {first_line(error)}"
            ) from None
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(_entries()))

    def __len__(self) -> int:
        return len(_entries())


EXPERIMENTS: Final[Mapping[str, Experiment[Any]]] = _Experiments()


def find_experiment(name: str) -> Experiment[Any]:
    """The experiment called ``name``, built in or installed.

    Raises:
        ConfigError: there is none of that name (the hint lists the known ones), or it does not
            load.
    """
    try:
        return EXPERIMENTS[name]
    except KeyError:
        known = ", ".join(EXPERIMENTS)
        raise ConfigError(f"experiment {name!r}: unknown", f"known are {known}") from None


def _entries() -> dict[str, EntryPoint]:
    return {**{entry.name: entry for entry in entry_points(group=GROUP)}, **_BUILT_IN}
