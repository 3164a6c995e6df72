"""A metric against a setting that runs differ in: a panel a metric, a line a variant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from memoria.experiments.experiment import Metric
from memoria.experiments.panels import Curve, Panels
from memoria.experiments.records import RunRecord, plain_name

_NOT_SWEPT: Final = ("models", "seeds", "device")
_MOST_METRICS: Final = 6
_WIDE: Final = 8.0  # of the largest to the smallest value, from which the axis is logarithmic


def swept_settings(records: Sequence[RunRecord]) -> list[str]:
    """Numbers among the settings that finished runs differ in, tables joined by dots."""
    values: dict[str, set[float]] = {}
    for record in records:
        for key, value in _flat(record.config):
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(key, set()).add(value)
    return [key for key, found in values.items() if len(found) > 1]


def draw_swept(
    records: Sequence[RunRecord],
    metrics: Sequence[Metric],
    folder: Path,
    references: Mapping[str, Mapping[str, float]] = {},
) -> list[Path]:
    """Draw the metrics of finished runs against each setting that they differ in.

    A line is the mean over seeds of one variant, the band their range; runs that differ in more
    than this setting make lines of their own. The first metric has "guessing" too.

    Args:
        records: finished runs of one experiment.
        metrics: what is drawn, six at most.
        folder: of the files ``by-SETTING.png``.
        references: values of the first metric by name, of each variant.

    Returns:
        The files written.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    known = [one for one in metrics if any(_number(record, one) is not None for record in records)]
    if not known:
        return []
    written: list[Path] = []
    for key in swept_settings(records):
        panels = Panels(len(known[:_MOST_METRICS]))
        for panel, metric in enumerate(known[:_MOST_METRICS]):
            lines = _lines(records, key, metric)
            for number, (label, curves) in enumerate(lines.items()):
                panels.add_curves(panel, curves, number, label)
            if panel == 0:
                guessed = _guessed(records, key, references)
                panels.add_curves(panel, [guessed] if guessed[0] else [], 2, "guessing", True)
            panels.finish(panel, metric.heading, key)
            _scale(panels[panel], [x for curves in lines.values() for xs, _ in curves for x in xs])
        written += panels.write(folder / f"by-{key}.png")
    return written


def _lines(records: Sequence[RunRecord], key: str, metric: Metric) -> dict[str, list[Curve]]:
    """For each line its name and a curve a seed."""
    found: dict[str, dict[int, dict[float, float]]] = {}
    others = [one for one in swept_settings(records) if one != key]
    for record in records:
        flat, value = dict(_flat(record.config)), _number(record, metric)
        if value is None or not isinstance(flat.get(key), int | float):
            continue
        more = "".join(f" {one.rpartition('.')[2]}={flat[one]}" for one in others if one in flat)
        line = found.setdefault(plain_name(record.variant) + more, {})
        line.setdefault(record.seed, {})[flat[key]] = value
    return {
        label: [(sorted(curve), [curve[x] for x in sorted(curve)]) for curve in seeds.values()]
        for label, seeds in found.items()
    }


def _guessed(
    records: Sequence[RunRecord], key: str, references: Mapping[str, Mapping[str, float]]
) -> Curve:
    found = {
        flat[key]: references[record.variant]["guessing"]
        for record in records
        if "guessing" in references.get(record.variant, {})
        and key in (flat := dict(_flat(record.config)))
    }
    return sorted(found), [found[x] for x in sorted(found)]


def _scale(axes: Any, values: Sequence[float]) -> None:
    """Ticks at the values; as powers of two where these lie far apart."""
    places = sorted(set(values))
    if places and places[0] > 0 and places[-1] / places[0] >= _WIDE:
        axes.set_xscale("log", base=2)
    axes.set_xticks(places, [json.dumps(one) for one in places], minor=False)


def _number(record: RunRecord, metric: Metric) -> float | None:
    value = record.metrics.get(metric.name)
    return float(value) if isinstance(value, int | float) else None


def _flat(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in config.items():
        if not above and key in _NOT_SWEPT:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
