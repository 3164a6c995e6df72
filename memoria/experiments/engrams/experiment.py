"""The experiment ``engrams``: primacy, recency, contiguity, firing again, age of the reminded.

What is measured stands in `memoria.experiments.engrams.findings`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from pydantic import Field, StrictStr, field_validator, model_validator

from memoria.config import MemoriaConfig
from memoria.experiments.config import ModelNames, check_paths
from memoria.experiments.experiment import Experiment, Metric
from memoria.experiments.reading import (
    GPT2_SETTINGS,
    MEMORY_SETTINGS,
    Passages,
    ReadingConfig,
    Stream,
)
from memoria.experiments.records import RunRecord, finished_runs
from memoria.experiments.run import Run
from memoria.io.progress import Progress, no_progress

if TYPE_CHECKING:
    from memoria.analysis import Chronicle

_STORE: Final = "store"


class EngramsConfig(ReadingConfig):
    """Whose life is looked at: that of stores, or of memories that read a text for this."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {"small": {}, "paper": GPT2_SETTINGS}

    models: ModelNames = Field(
        ["memoria", "memoria-worded", "memoria-random"],
        description="memoria and its variants; 'store' where stores are named.",
    )
    store: list[StrictStr] = Field(
        [],
        description="Stores (PATH, PATH@STEP, PATH@NAME) or histories (.npz, one lane each): seed "
        "i looks at the i-th; none reads a text.",
    )

    @model_validator(mode="before")
    @classmethod
    def _one_run_a_store(cls, values: Any) -> Any:
        """Stores are what is run, unless models and seeds are named."""
        stores = values.get("store") if isinstance(values, Mapping) else None
        if not stores:
            return values
        count = len([one for one in stores.split(",") if one]) if isinstance(stores, str) else 0
        count = count or (len(stores) if isinstance(stores, list) else 1)
        return {"models": [_STORE], "seeds": list(range(count)), **values}

    @field_validator("store")
    @classmethod
    def _from_anywhere(cls, value: list[str]) -> list[str]:
        return [one if "://" in one else os.path.abspath(one) for one in value]

    @model_validator(mode="after")
    def _models_fit(self) -> EngramsConfig:
        for name in self.models:
            if (name == _STORE) != bool(self.store) or name.partition("-")[0] not in (
                _STORE,
                "memoria",
            ):
                known = "'store'" if self.store else "memoria, memoria-..."
                raise ValueError(f"model {name!r} is unknown here: {known}")
        if self.store and max(self.seeds) >= len(self.store):
            raise ValueError(f"seed {max(self.seeds)}: there are {len(self.store)} stores, from 0")
        return self


class Engrams(Experiment[EngramsConfig]):
    """The paper's five findings in the lives of engrams."""

    name = "engrams"
    summary = "Primacy, recency, contiguity, firing again, age of what is reminded."
    Config = EngramsConfig
    metrics = (
        Metric("primacy", "primacy", "higher"),
        Metric("recency", "recency", "higher"),
        Metric("contiguity", "contiguity", "higher"),
        Metric("autocorrelation", "autocorrelation", "higher"),
        Metric("ageing", "ageing", "higher"),
        Metric("alive", "alive"),
    )

    def check(self, config: EngramsConfig) -> None:
        check_paths("data", config.data)
        check_paths("store", config.store)

    def execute(self, config: EngramsConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.engrams.findings import curves, numbers

        with _life(config, run) as chronicle:
            found = numbers(chronicle)
            for curve in curves(chronicle):
                run.log(curve.row())
                run.array(f"{curve.name}_x", curve.x)
                run.array(f"{curve.name}_y", curve.y)
            return {
                **found,
                "alive": int((chronicle.gone == 0).sum()),
                "engrams": int(chronicle.added.sum()),
                "steps": chronicle.steps,
                "lanes": chronicle.lanes,
            }

    def draw(self, records: Sequence[RunRecord], folder: Path) -> list[Path]:
        from memoria.experiments.engrams.findings import draw_engrams

        return draw_engrams(records, folder / "engrams.png")

    def tell(self, records: Sequence[RunRecord]) -> list[str]:
        from memoria.experiments.engrams.findings import FINDINGS, verdict

        found = []
        for model, runs in finished_runs(records).items():
            for one in FINDINGS if runs else ():
                values = [run.metrics.get(one.name) for run in runs]
                known = [value for value in values if value is not None]
                found.append(f"{model}: {verdict(one, known)}")
        return found


@contextmanager
def _life(config: EngramsConfig, run: Run) -> Iterator[Chronicle]:
    """The life of the run's store, or of a memory that reads a text for it."""
    if config.store:
        with _kept_life(config.store[config.seed]) as chronicle:
            yield chronicle
        return

    passages = config.passages()
    stream = config.stream(passages)
    own = config.memory(passages.vectors.shape[1])
    yield read_life(own, config.model, passages, stream, run.progress)


@contextmanager
def _kept_life(name: str) -> Iterator[Chronicle]:
    """The life of a store, or of one lane whose `HistoryManager` was saved."""
    from memoria.analysis import Chronicle, open_chronicle
    from memoria.store.reading import split_moment

    if name.endswith(".npz"):
        from memoria.timeline.history import HistoryManager

        yield Chronicle.of_history(HistoryManager.load(name))
        return
    with open_chronicle(*split_moment(name)) as chronicle:
        yield chronicle


def read_life(
    config: MemoriaConfig,
    variant: str,
    passages: Passages,
    stream: Stream,
    progress: Progress = no_progress,
) -> Chronicle:
    """Let a ``variant`` of Memoria read ``stream``, with gains by ``config.rule``; its life."""
    import numpy as np
    import torch

    from memoria.analysis import Chronicle
    from memoria.core.similarity import log_correlation
    from memoria.experiments.variants import make_memoria
    from memoria.timeline.gain import parse_rule

    settings = {name: getattr(config, name) for name in MEMORY_SETTINGS}
    memory = make_memoria(variant, keep_history=True, layout="dense", **settings)
    rule = parse_rule(config.rule)
    for step, chosen in enumerate(stream.read, 1):
        cue = torch.from_numpy(passages.vectors[chosen]).unsqueeze(0)
        memory.add_working_memory(cue)
        found, indices = memory.remind()
        kept = indices[0] >= 0
        gains = torch.zeros(indices.shape, dtype=torch.float64)
        score = np.exp(log_correlation(cue.numpy(), found[:, kept].numpy())[0])
        gains[0, kept] = torch.from_numpy(np.asarray(rule.gains(score)))
        memory.adjust_lifespan_and_memories(indices, gains)
        progress(step, len(stream.read))
    assert memory.history is not None
    return Chronicle.of_history(memory.history)
