"""The experiment ``freerecall``: do memories recall lists of words as people do?

The curves stand in `memoria.experiments.freerecall.curves`, the verdicts in `findings`, what
memories keep of a list in `traces`, how they recall it in `process`. The constants of that are
fitted on every other person; a memory is measured on lists that the others recalled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator

from memoria.experiments.config import ExperimentConfig, ModelNames
from memoria.experiments.experiment import Experiment, Metric
from memoria.experiments.records import RunRecord, finished_runs
from memoria.experiments.run import Run

if TYPE_CHECKING:
    from memoria.experiments.freerecall.people import Recalls

_MODELS: Final = {
    "memoria": "Hebbian connections and lifespans",
    "random": "the connections in random places",
    "none": "lifespans without connections",
    "nearest": "the word next to what was recalled last, by its vector",
    "tcm": "the temporal context model (Howard & Kahana 2002)",
    "people": "what people recalled",
    "shuffled": "the same words in random order",
    "chance": "as many words, any of them in any order",
}
_LISTS: Final = 64  # that a memory learns; people's lists share their traces
_CONTEXT: Final = {  # of those tried, the ones that fit the first half of PEERS best
    "rho": 0.7,
    "gamma": 0.8,
    "decay": 2.0,
}
_MEMORY: Final[
    dict[str, str | bool | int | float]
] = {  # of those tried, the one that fits the first half of PEERS best
    "num_reminded_stm": 2,
    "stm_capacity": 2,
    "ltm_search_depth": 5,
    "initial_lifespan": 50.0,
    "num_final_ltms": 0,
    "rule": "correlation:32",
}


class FreeRecallConfig(ExperimentConfig):
    """Whose recall is looked at, and which people it is compared with."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {"memory": _MEMORY},
        "paper": {"memory": _MEMORY},
    }

    models: ModelNames = Field(
        list(_MODELS),
        description="; ".join(f"{name}: {what}" for name, what in _MODELS.items()) + ".",
    )
    study: Literal["peers", "morton"] = Field(
        "peers",
        description="126 people, 3,528 lists of 16 words (peers); 40 people, 1,200 lists of 24.",
    )
    memory: dict[StrictStr, StrictStr | StrictBool | StrictInt | StrictFloat] = Field(
        default_factory=lambda: dict(_MEMORY),
        description="Settings of Memoria, and the rule of its lifespans.",
    )
    context: dict[StrictStr, StrictInt | StrictFloat] = Field(
        default_factory=lambda: dict(_CONTEXT),
        description="Of tcm: rho (how much of its context each word keeps), gamma (how much of its "
        "study context a recalled word brings back), decay of attention from the first word on.",
    )

    @field_validator("models")
    @classmethod
    def _models_are_known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name not in _MODELS:
                raise ValueError(f"model {name!r} is unknown here: {', '.join(_MODELS)}")
        return value


class FreeRecall(Experiment[FreeRecallConfig]):
    """Serial position, first recall, lag-CRP and temporal factor, with a verdict on each."""

    name = "freerecall"
    summary = "Lists of words recalled as people do? Primacy, recency, contiguity, asymmetry."
    Config = FreeRecallConfig
    metrics = (
        Metric("distance", "distance from people", "lower"),
        Metric("loss", "loss of people's choices, nats", "lower"),
        Metric("temporal_factor", "temporal factor", "higher"),
        Metric("primacy", "primacy", "higher"),
        Metric("recency", "recency", "higher"),
        Metric("contiguity", "contiguity", "higher"),
        Metric("asymmetry", "asymmetry", "higher"),
    )

    def execute(self, config: FreeRecallConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.freerecall.curves import curves_of, distance
        from memoria.experiments.freerecall.findings import find
        from memoria.experiments.freerecall.people import read_people

        people = read_people(config.study)
        recalls, fitted = _recalled(config, people)
        curves = curves_of(recalls)
        if config.model == "people":
            far = distance(curves.of_half(0), curves.of_half(1))
        else:
            own = curves if len(recalls.orders) < len(people.orders) else curves.of_half(1)
            far = distance(own, curves_of(people.of_half(1)))
        for name, mean in curves.means().items():
            run.log({"kind": "curve", "name": name, "y": mean.tolist()})
            run.array(name, getattr(curves, name))
        run.array("temporal", curves.temporal)
        found = find(curves)
        for name, finding in found.items():
            run.log({"kind": "finding", "name": name, **finding._asdict()})
        run.progress(1, 1)
        return {
            "distance": far,
            **fitted,
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


def _recalled(config: FreeRecallConfig, people: Recalls) -> tuple[Recalls, dict[str, float]]:
    """What the run's model recalled; its loss, and the constants of its recall."""
    import numpy as np

    from memoria.experiments.freerecall import process
    from memoria.experiments.freerecall.traces import Traces, learn

    length, other = people.length, people.of_half(1)
    if config.model == "people":
        return people, {}
    if config.model == "shuffled":
        return people.shuffled(config.seed), {}
    if config.model == "chance":
        nothing = Traces(np.zeros((1, length, length)), np.zeros((1, length)))
        return people.drawn(config.seed), {
            "loss": process.loss(other, nothing, process.Constants())
        }
    settings = config.context if config.model == "tcm" else config.memory
    traces = learn(config.model, _LISTS, length, settings, config.seed)
    constants = process.fit(people.of_half(0), traces)
    loss = process.loss(other, traces, constants)
    recalled = process.recall_lists(other, traces, constants, config.seed)
    return recalled, {"loss": loss, **vars(constants)}


def _told(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The verdict of all seeds in words."""
    there = sum(row["is_there"] for row in rows)
    verdict = {0: "no", len(rows): "yes"}.get(there, f"with {there} of {len(rows)} seeds")
    sizes = [row["size"] for row in rows if row["size"] is not None]
    mean = f"{sum(sizes) / len(sizes):+.3f}" if sizes else "not measured"
    return f"{name}: {verdict} ({mean})"
