"""The curves of `recall`: how much comes back after how long, and how that goes as it reads on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.errors import MissingExtraError
from memoria.experiments.records import RunRecord

__all__ = ["draw_recall"]

# Okabe and Ito's, which people with any colour vision tell apart
_COLOURS: Final = ("#D55E00", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#7F7F7F")
_COLUMNS: Final = 3
_PANEL: Final = (3.6, 2.8)  # inches

_Rows = list[dict[str, Any]]
_Curve = tuple[list[Any], NDArray[np.float64]]  # places, values [runs, places]


def draw_recall(records: Sequence[RunRecord], path: Path) -> bool:
    """Draw what finished runs found to ``path``; False if there are none.

    A panel for each noise: recall@R against the steps since, dashed the share still kept; then
    recall and recognition against the steps read, all noises together. Lines are means over seeds,
    bands their range. Raises `MissingExtraError` without matplotlib.
    """
    by_model: dict[str, list[_Rows]] = {}
    for record in records:
        if record.status == "done" and (rows := _answers(record)):
            by_model.setdefault(record.variant, []).append(rows)
    if not by_model:
        return False
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("drawing the results", "viz") from None
    runs = [rows for of_model in by_model.values() for rows in of_model]
    noises = list(dict.fromkeys(row["noise"] for rows in runs for row in rows))
    count = len(noises) + 2
    height = -(-count // _COLUMNS)
    figure = Figure(figsize=(_PANEL[0] * _COLUMNS, _PANEL[1] * height + 0.5), layout="constrained")
    panels = list(figure.subplots(height, _COLUMNS, squeeze=False).flat)
    for panel in panels[count:]:
        panel.remove()
    for noise, panel in zip(noises, panels, strict=False):
        _retention(panel, by_model, noise)
    for (key, title), panel in zip(_AS_IT_READS.items(), panels[len(noises) :], strict=False):
        _history(panel, by_model, key, title)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6))
    figure.savefig(path, dpi=150)
    return True


_AS_IT_READS: Final = {
    "recall": "recall of all read so far",
    "auc": "recognition of all read so far (AUC)",
}


def _retention(panel: Any, by_model: dict[str, list[_Rows]], noise: str) -> None:
    labels: list[str] = []
    for number, (model, runs) in enumerate(by_model.items()):
        last = [_last(rows, noise) for rows in runs]
        bins: list[Any] = max((row["bins"] for row in last), key=len, default=[])
        labels = max(labels, [_ages(*one) for one in bins], key=len)
        recall = _stacked(row["recall"] for row in last)
        alive = _stacked(row["alive"] for row in last)
        _band(panel, (list(range(len(bins))), recall), number, model)
        panel.plot(np.nanmean(alive, axis=0), color=_colour(number), ls="--", lw=0.8, alpha=0.7)
    panel.set_xticks(range(len(labels)), labels, rotation=60, fontsize=7)
    panel.set_xlabel("steps ago", fontsize=8)
    _finish(panel, f"recalled, cue: {noise}")


def _history(panel: Any, by_model: dict[str, list[_Rows]], key: str, title: str) -> None:
    measure: Callable[[_Rows], float] = _recall_of if key == "recall" else _recognition_of
    for number, (model, runs) in enumerate(by_model.items()):
        steps = sorted({row["checkpoint"] for rows in runs for row in rows})
        values = np.array(
            [
                [measure([row for row in rows if row["checkpoint"] == step]) for step in steps]
                for rows in runs
            ]
        )
        _band(panel, (steps, values), number, model)
    panel.set_xlabel("steps read", fontsize=8)
    _finish(panel, title)


def _band(panel: Any, curve: _Curve, number: int, label: str) -> None:
    places, values = curve
    panel.plot(places, np.nanmean(values, axis=0), color=_colour(number), marker=".", label=label)
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    panel.fill_between(places, low, high, color=_colour(number), alpha=0.15, lw=0)


def _finish(panel: Any, title: str) -> None:
    panel.set_ylim(-0.03, 1.03)
    panel.set_title(title, fontsize=9)
    panel.tick_params(labelsize=7)
    panel.grid(alpha=0.3)


def _answers(record: RunRecord) -> _Rows:
    return [row for row in record.rows() if row.get("kind") == "retention"]


def _last(rows: _Rows, noise: str) -> dict[str, Any]:
    return max((row for row in rows if row["noise"] == noise), key=lambda row: row["checkpoint"])


def _recall_of(rows: _Rows) -> float:
    from memoria.experiments.recall.measure import Asked

    return _mean(Asked.of(row).numbers()["recall"] for row in rows)


def _recognition_of(rows: _Rows) -> float:
    return _mean(row["auc"] for row in rows)


def _mean(values: Iterable[float | None]) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else float("nan")


def _stacked(rows: Iterable[Sequence[float]]) -> NDArray[np.float64]:
    """Rows of unequal length, NaN on the right."""
    listed = list(rows)
    width = max(map(len, listed), default=0)
    return np.array([[*row, *[np.nan] * (width - len(row))] for row in listed])


def _ages(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}-{most}"


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]
