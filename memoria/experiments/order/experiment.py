"""The experiment ``order``: does a memory know which of two segments came first?

What is asked stands in `memoria.experiments.order.pairs`, how stores answer in `stores`, how
networks do in `task`. A model is a clue of a store, a network of `RIVALS`, or ``random``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memoria.errors import InputError
from memoria.experiments.experiment import Experiment, Metric
from memoria.experiments.order.config import RANDOM, OrderConfig
from memoria.experiments.records import RunRecord, finished_runs
from memoria.experiments.run import Run

if TYPE_CHECKING:
    from memoria.experiments.books import Book
    from memoria.experiments.order.pairs import Pair
    from memoria.experiments.order.scoring import Scored
    from memoria.experiments.training import Processes


class Order(Experiment[OrderConfig]):
    """Which of two segments came first: accuracy by length of the excerpt and by distance."""

    name = "order"
    summary = "Which of two segments of a book came first (SORT)? Stores by clues, networks."
    Config = OrderConfig
    metrics = (
        Metric("accuracy", "order told rightly", "higher"),
        Metric("near", "of the nearest pairs", "higher"),
        Metric("far", "of the farthest pairs", "higher"),
        Metric("pairs", "pairs"),
    )

    def check(self, config: OrderConfig) -> None:
        from memoria.experiments.books import check_books

        config.check_networks()
        check_books(config.data)

    def execute(self, config: OrderConfig, run: Run) -> Mapping[str, Any]:
        import numpy as np

        from memoria.experiments.order.scoring import cells_of

        scored = _scored(config, run)
        cells = cells_of(scored, config.shown)
        for cell in cells:
            run.log({"kind": "cell", **vars(cell)})
        run.array("clues", np.array([[one.first, one.second] for one in scored]))
        run.progress(1, 1)
        weights = [cell.pairs for cell in cells]
        by_length = [[one for one in cells if one.length == length] for length in config.lengths]
        nearest = [of_length[0].accuracy for of_length in by_length if of_length]
        farthest = [of_length[-1].accuracy for of_length in by_length if of_length]
        return {
            "accuracy": float(np.average([cell.accuracy for cell in cells], weights=weights)),
            "near": float(np.mean(nearest)),
            "far": float(np.mean(farthest)),
            "pairs": sum(weights),
        }

    def reference(self, config: OrderConfig) -> Mapping[str, float]:
        return {"guessing": 0.5}

    def breakdown(self, records: Sequence[RunRecord]) -> list[dict[str, Any]]:
        """By length of the excerpt and distance: means over seeds, weighted by pairs."""
        cells: dict[tuple[int, float, float, str], list[dict[str, Any]]] = {}
        for model, runs in finished_runs(records).items():
            for row in (row for run in runs for row in run.rows() if row.get("kind") == "cell"):
                cells.setdefault((row["length"], row["low"], row["high"], model), []).append(row)
        rows = []
        for (length, low, high, model), found in sorted(cells.items(), key=lambda one: one[0][:3]):
            pairs = sum(row["pairs"] for row in found)
            right = sum(row["pairs"] * row["accuracy"] for row in found)
            distance = f"{low:.0f} to {min(high, length):.0f}"
            where = {"excerpt": length, "distance": distance, "variant": model}
            rows.append({**where, "pairs": pairs, "accuracy": right / pairs})
        return rows

    def draw(self, records: Sequence[RunRecord], folder: Path) -> list[Path]:
        from memoria.experiments.order.drawing import draw_order

        return draw_order(records, folder / "order.png")


def _scored(config: OrderConfig, run: Run) -> list[Scored]:
    """The pairs of the run with the clues of its model. Raises `InputError` without a pair."""
    from memoria.experiments.books import read_books

    books = read_books(config.data)
    pairs = [(book, _pairs(config, book.first(config.words))) for book in books]
    if not any(of_book for _, of_book in pairs):
        raise InputError(
            f"lengths = {config.lengths}: no book has an excerpt of them in {config.words} words",
            "give longer books, or shorter lengths",
        )
    if config.model in config.beside:
        return _scored_by_stores(config, pairs, run)
    from memoria.experiments.order.task import OrderTask
    from memoria.experiments.training import train

    tasks: list[OrderTask] = []

    def make(processes: Processes) -> OrderTask:
        tasks.append(OrderTask(config, processes, pairs))
        return tasks[-1]

    train(config, run, make)
    return tasks[-1].scored


def _scored_by_stores(
    config: OrderConfig, pairs: Sequence[tuple[Book, Sequence[Pair]]], run: Run
) -> list[Scored]:
    import numpy as np

    from memoria.backbones import load_backbone
    from memoria.experiments.order.scoring import Scored
    from memoria.experiments.order.stores import store_clues

    rng = np.random.default_rng((config.seed, 7))
    backbone = load_backbone(config.backbone)
    scored: list[Scored] = []
    for number, (book, of_book) in enumerate(pairs):
        starts = [start for pair in of_book for start in (pair.first, pair.second)]
        if config.model == RANDOM:
            clues = rng.random(len(starts))
        else:
            clues = store_clues(
                book.first(config.words),
                [book.text(start, config.shown) for start in starts],
                config.model,
                backbone=backbone,
                settings=config.store,
                width=config.width,
            )
        for pair, (first, second) in zip(of_book, clues.reshape(-1, 2).tolist(), strict=True):
            scored.append(Scored(book.name, pair, first, second))
        run.progress(number, len(pairs))
    return scored


def _pairs(config: OrderConfig, book: Book) -> list[Pair]:
    from memoria.experiments.order.pairs import draw_pairs

    return [
        pair
        for length in config.lengths
        for pair in draw_pairs(
            book, length, config.shown, config.excerpts, config.choosing, config.seed
        )
    ]
