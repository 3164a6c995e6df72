"""The experiment ``recognition``: told from others, recalled from a half, and for how long?

What is counted stands in `memoria.experiments.recognition.measure`, what is studied in `foils`,
how stores answer in `stores`, how networks do in `task`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memoria.experiments.experiment import Experiment, Metric
from memoria.experiments.recognition.config import STORES, RecognitionConfig
from memoria.experiments.records import RunRecord
from memoria.experiments.run import Run

if TYPE_CHECKING:
    from memoria.experiments.recognition.measure import Moment
    from memoria.experiments.training import Processes


class Recognition(Experiment[RecognitionConfig]):
    """Two-choice recognition against foils, cued recall, and both after further steps."""

    name = "recognition"
    summary = "Sentences told from foils and recalled from a half, at once and much later."
    Config = RecognitionConfig
    metrics = (
        Metric("recognition", "told from new ones", "higher"),
        Metric("paraphrase", "from the same reworded", "higher"),
        Metric("word", "from one word changed", "higher"),
        Metric("recalled", "recalled from a half", "higher"),
        Metric("recognition_last", "told from new ones at the end", "higher"),
        Metric("recalled_last", "recalled at the end", "higher"),
    )

    def check(self, config: RecognitionConfig) -> None:
        from memoria.experiments.books import check_books

        config.check_networks()
        check_books(config.data)

    def execute(self, config: RecognitionConfig, run: Run) -> Mapping[str, Any]:
        from memoria.experiments.recognition.measure import numbers_of

        moments = _moments(config, run)
        for one in moments:
            row = {"after": one.after, **one.recognition, "recalled": one.recalled}
            run.log({"kind": "moment", **row})
        numbers = numbers_of([one for one in moments if one.after >= 0])
        before = [one for one in moments if one.after < 0]
        if before:
            numbers["recognition_before"] = before[0].recognition["new"]
        run.progress(1, 1)
        last = moments[-1]
        return {
            **numbers,
            "recognition_last": last.recognition["new"],
            "recalled_last": last.recalled,
        }

    def reference(self, config: RecognitionConfig) -> Mapping[str, float]:
        """Guessing, and people of Shepard (1967), who had read each of 612 sentences once."""
        return {"guessing": 0.5, "people, sentences (Shepard 1967)": 0.89}

    def draw(self, records: Sequence[RunRecord], folder: Path) -> list[Path]:
        from memoria.experiments.recognition.drawing import draw_recognition

        return draw_recognition(records, folder / "recognition.png")


def _moments(config: RecognitionConfig, run: Run) -> list[Moment]:
    """What the run's model knows at each moment. Raises `InputError` for too little text."""
    from memoria.experiments.books import read_books
    from memoria.experiments.recognition.foils import choose

    sentences = [one for book in read_books(config.data) for one in book.sentences]
    studied = choose(sentences, config.studied, config.seed)
    if config.model in STORES:
        from memoria.backbones import load_backbone
        from memoria.experiments.recognition.stores import store_moments

        found = []
        for moment in store_moments(
            config.model,
            studied,
            backbone=load_backbone(config.backbone),
            settings=config.store,
            width=config.width,
            after=config.after,
        ):
            found.append(moment)
            run.progress(len(found), len(config.after) + 1)
        return found
    from memoria.experiments.recognition.task import RecognitionTask
    from memoria.experiments.training import train

    tasks: list[RecognitionTask] = []

    def make(processes: Processes) -> RecognitionTask:
        tasks.append(RecognitionTask(config, processes, studied))
        return tasks[-1]

    train(config, run, make)
    return tasks[-1].moments
