"""The experiment ``freerecall``: do memories recall lists of words as people do?

The curves stand in `memoria.experiments.freerecall.curves`, the verdicts in `findings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, field_validator

from memoria.experiments.config import ExperimentConfig, ModelNames
from memoria.experiments.experiment import Experiment, Metric
from memoria.experiments.records import RunRecord, finished_runs
from memoria.experiments.run import Run

if TYPE_CHECKING:
    from memoria.experiments.freerecall.people import Recalls

_PEOPLE: Final = {
    "people": "what people recalled",
    "shuffled": "the same words in random order",
    "chance": "as many words, any of them in any order",
}


class FreeRecallConfig(ExperimentConfig):
    """Whose recall is looked at, and which people it is compared with."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": {}, "paper": {}}

    models: ModelNames = Field(
        list(_PEOPLE),
        description="; ".join(f"{name}: {what}" for name, what in _PEOPLE.items()) + ".",
    )
    study: Literal["peers", "morton"] = Field(
        "peers",
        description="126 people, 3,528 lists of 16 words (peers); 40 people, 1,200 lists of 24.",
    )

    @field_validator("models")
    @classmethod
    def _models_are_known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in _PEOPLE:
                raise ValueError(f"model {name!r} is unknown here: {', '.join(_PEOPLE)}")
        return value


class FreeRecall(Experiment[FreeRecallConfig]):
    """Serial position, first recall, lag-CRP and temporal factor, with a verdict on each."""

    name = "freerecall"
    summary = "Lists of words recalled as people do? Primacy, recency, contiguity, asymmetry."
    Config = FreeRecallConfig
    metrics = (
        Metric("temporal_factor", "temporal factor", "higher"),
        Metric("primacy", "primacy", "higher"),
        Metric("recency", "recency", "higher"),
        Metric("contiguity", "contiguity", "higher"),
        Metric("asymmetry", "asymmetry", "higher"),
    )

    def execute(self, config: FreeRecallConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.freerecall.curves import curves_of
        from memoria.experiments.freerecall.findings import find

        recalls = _recalled(config)
        curves = curves_of(recalls)
        for name, mean in curves.means().items():
            run.log({"kind": "curve", "name": name, "y": mean.tolist()})
            run.array(name, getattr(curves, name))
        run.array("temporal", curves.temporal)
        found = find(curves)
        for name, finding in found.items():
            run.log({"kind": "finding", "name": name, **finding._asdict()})
        run.progress(1, 1)
        return {
            "temporal_factor": float(curves.temporal.mean()),
            **{name: finding.size for name, finding in found.items()},
            "lists": len(recalls.orders),
        }

    def tell(self, records: Sequence[RunRecord]) -> list[str]:
        """The verdicts, of each model and finding one."""
        told = []
        for model, runs in finished_runs(records).items():
            found: dict[str, list[Mapping[str, Any]]] = {}
            for row in (row for run in runs for row in run.rows()):
                if row.get("kind") == "finding":
                    found.setdefault(row["name"], []).append(row)
            told += [f"{model}: {_told(name, rows)}" for name, rows in found.items()]
        return told

    def draw(self, records: Sequence[RunRecord], folder: Path) -> list[Path]:
        from memoria.experiments.freerecall.drawing import draw_freerecall

        return draw_freerecall(records, folder / "freerecall.png")


def _recalled(config: FreeRecallConfig) -> Recalls:
    """What the run's model recalled."""
    from memoria.experiments.freerecall.people import read_people

    people = read_people(config.study)
    if config.model == "shuffled":
        return people.shuffled(config.seed)
    if config.model == "chance":
        return people.drawn(config.seed)
    return people


def _told(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The verdict of all seeds in words."""
    there = sum(row["is_there"] for row in rows)
    verdict = {0: "no", len(rows): "yes"}.get(there, f"with {there} of {len(rows)} seeds")
    sizes = [row["size"] for row in rows if row["size"] is not None]
    mean = f"{sum(sizes) / len(sizes):+.3f}" if sizes else "not measured"
    return f"{name}: {verdict} ({mean})"
