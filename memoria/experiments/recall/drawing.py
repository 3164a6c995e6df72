"""The curves of `recall`: how much comes back after how long, and how that goes as it reads on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from memoria.experiments.panels import Panels
from memoria.experiments.records import RunRecord, finished_runs

_Rows = list[dict[str, Any]]
_ByModel = dict[str, list[_Rows]]


def draw_recall(records: Sequence[RunRecord], path: Path) -> list[Path]:
    """Draw what finished runs answered.

    A panel for each noise: recall@R against the steps since, dashed the share still kept; then
    recall and recognition against the steps read, all noises together. Lines are means over seeds,
    bands their range.

    Returns:
        ``[path]``, or nothing if there is nothing to draw.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    found = {
        model: [rows for run in runs if (rows := _answers(run))]
        for model, runs in finished_runs(records).items()
    }
    by_model = {model: runs for model, runs in found.items() if runs}
    if not by_model:
        return []
    runs = [rows for of_model in by_model.values() for rows in of_model]
    noises = list(dict.fromkeys(row["noise"] for rows in runs for row in rows))
    panels = Panels(len(noises) + len(_AS_IT_READS))
    for panel, noise in enumerate(noises):
        _retention(panels, panel, by_model, noise)
    for panel, key in enumerate(_AS_IT_READS, len(noises)):
        _history(panels, panel, by_model, key)
    return panels.write(path)


_AS_IT_READS: Final = {
    "recall": "recall of all read so far",
    "recognition": "recognition of all read so far (AUC)",
}


def _retention(panels: Panels, panel: int, by_model: _ByModel, noise: str) -> None:
    labels: list[str] = []
    for number, (model, runs) in enumerate(by_model.items()):
        last = [_last(rows, noise) for rows in runs]
        bins: list[Any] = max((row["bins"] for row in last), key=len)
        labels = max(labels, [_ages(*one) for one in bins], key=len)
        for name in ("recall", "alive"):
            curves = [(range(len(row[name])), row[name]) for row in last]
            panels.add_curves(panel, curves, number, model, dashed=name == "alive")
    panels[panel].set_xticks(range(len(labels)), labels, rotation=60)
    panels[panel].set_ylim(-0.03, 1.03)
    panels.finish(panel, f"recalled, cue: {noise}", "read so many steps ago")


def _history(panels: Panels, panel: int, by_model: _ByModel, key: str) -> None:
    from memoria.experiments.recall.measure import Asked

    for number, (model, runs) in enumerate(by_model.items()):
        curves = []
        for rows in runs:
            found: dict[int, list[float]] = {}
            for row in rows:
                value, of_step = (
                    Asked.of(row).numbers()[key],
                    found.setdefault(row["checkpoint"], []),
                )
                of_step += [] if value is None else [value]
            means = [sum(one) / len(one) if one else None for one in found.values()]
            curves.append((list(found), means))
        panels.add_curves(panel, curves, number, model)
    panels[panel].set_ylim(-0.03, 1.03)
    panels.finish(panel, _AS_IT_READS[key], "steps read")


def _answers(record: RunRecord) -> _Rows:
    return [row for row in record.rows() if row.get("kind") == "retention"]


def _last(rows: _Rows, noise: str) -> dict[str, Any]:
    return max((row for row in rows if row["noise"] == noise), key=lambda row: row["checkpoint"])


def _ages(least: int, most: int) -> str:
    return str(least) if least == most else f"{least}-{most}"
