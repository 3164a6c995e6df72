"""The experiment ``recall``: Memoria and memories of equal size read the same text and are asked.

What is counted stands in `memoria.experiments.recall.measure`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, FiniteFloat, StrictInt, StrictStr, field_validator

from memoria.errors import ConfigError
from memoria.experiments.config import ModelNames, check_paths
from memoria.experiments.experiment import Experiment, Metric
from memoria.experiments.reading import GPT2_SETTINGS, ReadingConfig
from memoria.experiments.recall.noise import parse_noise
from memoria.experiments.records import RunRecord
from memoria.experiments.run import Run
from memoria.experiments.statistics import compare

if TYPE_CHECKING:
    from memoria.experiments.policies.policy import Policy
    from memoria.experiments.reading import Passages, Stream
    from memoria.experiments.recall.measure import Asked
    from memoria.experiments.recall.memories import Memory

_NEAREST: Final = {  # short names
    "knn-fifo": "neighbours+last+nothing",
    "knn-lru": "neighbours+lru+used",
    "knn-random": "neighbours+random+nothing",
    "knn-unbounded": "neighbours+last+nothing",
}
_UNBOUNDED: Final = "knn-unbounded"
_MOST_TOLD: Final = 8  # models that are compared in words
_NUMBERS: Final = ("recall", "recall_at_1", "alive", "remote", "recognition", "half_life")


class RecallConfig(ReadingConfig):
    """How much is kept for the end, how the cues are spoilt, and how often is asked."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "small": {},
        "paper": {**GPT2_SETTINGS, "probes": 64},
    }

    models: ModelNames = Field(
        ["memoria", "memoria-worded", "memoria-full", *_NEAREST],
        description="memoria and its variants, nearest neighbours (knn-...), and policies "
        "SCORED[+KEPT[+FOUND]] that need no words: the first with each other.",
    )
    unseen: FiniteFloat = Field(
        0.1, gt=0, lt=1, description="Share of the passages that is never read."
    )
    noise: list[StrictStr] = Field(
        ["none", "words:0.7", "vector:2"],
        min_length=1,
        description="Cues: none, words:P (words left out), vector:S (noise S times as long).",
    )
    checkpoints: StrictInt = Field(6, ge=1, le=1000, description="How often it is asked.")
    probes: StrictInt = Field(16, ge=1, le=100_000, description="Cues of each range of ages.")
    budget: StrictInt = Field(
        0, ge=0, description="Vectors that a rival keeps; 0: as many as memoria keeps alive."
    )

    @field_validator("models")
    @classmethod
    def _models_are_known(cls, value: list[str]) -> list[str]:
        for name in value:
            if name.partition("-")[0] != "memoria":
                try:
                    _policy(name)
                except ConfigError as error:
                    raise ValueError(f"{error.message}; {error.hint}") from None
        return value

    @field_validator("noise")
    @classmethod
    def _noise_is_known(cls, value: list[str]) -> list[str]:
        for name in value:
            try:
                parse_noise(name)
            except ConfigError as error:
                raise ValueError(f"{name!r}: {error.hint}") from None
        return value


class Recall(Experiment[RecallConfig]):
    """Recognition, recall and retention of a memory as it goes on reading."""

    name = "recall"
    summary = "Recall, retention and recognition of what was read, against nearest neighbours."
    Config = RecallConfig
    metrics = (
        Metric("recall", "recalled of all it read", "higher"),
        Metric("remote", "recalled of the first half", "higher"),
        Metric("alive", "still kept of all it read"),
        Metric("recall_at_1", "best of the reminded", "higher"),
        Metric("recognition", "recognition (AUC)", "higher"),
        Metric("kept", "vectors kept"),
    )

    def check(self, config: RecallConfig) -> None:
        check_paths("data", config.data)

    def execute(self, config: RecallConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.recall.measure import Asked, checkpoints_of, live

        passages = config.passages()
        stream = config.stream(passages, config.unseen)
        kept = run.restored() or {"step": 0, "asked": []}
        asked = [Asked.of(one) for one in kept["asked"]]
        steps, noises = len(stream.read), [parse_noise(one) for one in config.noise]
        answers = live(
            _memory(config, passages, stream),
            passages,
            stream,
            checkpoints=checkpoints_of(steps, config.checkpoints),
            noises=noises,
            probes=config.probes,
            seed=config.seed,
            done=kept["step"],
            progress=run.progress,
        )
        for answer in answers:
            asked.append(answer)
            run.log({"kind": "retention", **answer.document()})
            if answer.noise == noises[-1]:
                run.log({"kind": "validation", "step": answer.checkpoint, **_numbers(asked)})
                documents = [one.document() for one in asked]
                run.checkpoint({"step": answer.checkpoint, "asked": documents})
        _write_arrays(asked, len(noises), run)
        return {**_numbers(asked), "steps": steps, "passages": stream.read.size}

    def tell(self, records: Sequence[RunRecord]) -> list[str]:
        table = compare(records, self.metrics)
        if len(table) > _MOST_TOLD:
            return []  # the report's table has them all
        return [
            _told(metric, table[0], row)
            for row in table[1:]
            for metric in self.metrics[:2]
            if row["behind"][metric.name]["runs"]
        ]

    def draw(self, records: Sequence[RunRecord], folder: Path) -> list[Path]:
        from memoria.experiments.recall.drawing import draw_recall

        return draw_recall(records, folder / "recall.png")


def _policy(name: str) -> Policy:
    """The policy that a model is. Raises `ConfigError`, also for one that asks with words."""
    from memoria.experiments.policies.policy import Policy
    from memoria.experiments.policies.scoring import ASK_WITH_WORDS

    found = Policy.parse(_NEAREST.get(name, name))
    if found.scored in ASK_WITH_WORDS:
        raise ConfigError(f"{name!r}: asks with words", "here cues are vectors: see `evidence`")
    return found


def _memory(config: RecallConfig, passages: Passages, stream: Stream) -> Memory:
    """A new memory of the run's model."""
    from memoria.experiments.recall.memories import MemoriaMemory, RivalMemory

    dimension = passages.vectors.shape[1]
    own = config.memory(dimension)
    if config.model.partition("-")[0] == "memoria":
        return MemoriaMemory(own, config.model)
    sizes = None
    if config.model != _UNBOUNDED:
        sizes = [config.budget] * len(stream.read) if config.budget else []
        if not sizes:
            reference = MemoriaMemory(own)
            for chosen in stream.read:
                reference.step(passages.vectors[chosen])
                sizes.append(len(reference.alive()))
    reminded = config.num_reminded_stm + config.num_final_ltms
    return RivalMemory(_policy(config.model), dimension, reminded, sizes, config.seed)


def _told(metric: Metric, first: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """``first`` against ``other`` in one metric, seed by seed."""
    behind = other["behind"][metric.name]
    values = list(behind["values"].values())
    pairs, above = len(values), sum(value > 0 for value in values)
    below = sum(value < 0 for value in values)
    words = {pairs: "more with every seed", 0: "not more with any seed"}
    if below == pairs:
        words[0] = "less with every seed"
    how = words.get(above, f"more with {above} of {pairs} seeds, less with {below}")
    own, theirs = (one["metrics"][metric.name]["mean"] for one in (first, other))
    names = f"{first['variant']} {own:.3f}, {other['variant']} {theirs:.3f}"
    return f"{metric.title}: {names}: {how} ({behind['mean']:+.3f}, {pairs} pairs)"


def _numbers(asked: Sequence[Asked]) -> dict[str, float | int | None]:
    """The numbers of the last checkpoint: the mean over noises, then each, ``recall@words:0.3``."""
    last = [one for one in asked if one.checkpoint == asked[-1].checkpoint]
    found = {str(one.noise): one.numbers() for one in last}
    numbers: dict[str, float | int | None] = {"kept": last[0].kept}
    for name in _NUMBERS:
        values = [one[name] for one in found.values()]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            numbers[name] = sum(known) / len(known)
    for noise, of_noise in found.items():
        numbers |= {f"{name}@{noise}": of_noise[name] for name in _NUMBERS}
    return numbers


def _write_arrays(asked: Sequence[Asked], noises: int, run: Run) -> None:
    """``recall``, ``recall_at_1``, ``alive`` [checkpoints, noises, bins], NaN where no bin is."""
    import numpy as np

    most = max(len(one.bins) for one in asked)
    for name in ("recall", "recall_at_1", "alive"):
        rows = [
            np.pad(getattr(one, name), (0, most - len(one.bins)), constant_values=np.nan)
            for one in asked
        ]
        run.array(name, np.array(rows).reshape(-1, noises, most))
    run.array("checkpoints", np.array([one.checkpoint for one in asked[::noises]]))
    run.array("first_age", np.array([one.least for one in asked[-1].bins]))
    run.array("last_age", np.array([one.most for one in asked[-1].bins]))
