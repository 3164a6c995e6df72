"""Draw what every release measured: a panel for each figure, the releases from left to right.

Results lie in ``results/RELEASE/NAME.json``; a folder may also be named after a day between
releases. Releases are in the order in which they were measured. A hollow point was measured on a
machine that was not idle: trust its ratios, if anything.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import RESULTS, print_tables, show

NAME = "history"
_IDLE = 0.5  # load average of a machine that does nothing else
_COLUMNS = 4
_INK, _BUSY = "#1f5f8b", "#ffffff"

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Figure:
    """One number of a benchmark's result; ``read`` raises `LookupError` where it is missing."""

    title: str
    unit: str
    benchmark: str
    read: Callable[[Document], float]


def options() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks history", description=__doc__)
    made.add_argument("--results", type=Path, default=RESULTS, help="where the releases lie")
    made.add_argument("-o", "--out", type=Path, help="picture (default: RESULTS/history.svg)")
    return made


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    from rich.console import Console

    arguments = options().parse_args(words)
    releases = read_releases(arguments.results)
    if not releases:
        raise SystemExit(f"{arguments.results.name}: no results; run `python -m benchmarks all`")
    found = {figure.title: values(figure, releases) for figure in figures(releases)}
    rows = [[title, *told["values"]] for title, told in found.items()]
    print_tables(Console(), [("figures by release", ("", *releases), rows)])
    place = arguments.out or arguments.results / "history.svg"
    draw(found, list(releases), place)
    print(f"drawn: {place.name}")
    return found


def read_releases(folder: Path) -> dict[str, dict[str, Document]]:
    """Results by release and benchmark, releases in the order of their latest measurement."""
    found: dict[str, dict[str, Document]] = {}
    for place in sorted(one for one in folder.glob("*") if one.is_dir()):
        results = {
            file.stem: json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(place.glob("*.json"))
            if not file.stem.endswith(".quick")
        }
        if results:
            found[place.name] = results
    return dict(sorted(found.items(), key=lambda one: max(d["when"] for d in one[1].values())))


def values(figure: Figure, releases: Mapping[str, Mapping[str, Document]]) -> dict[str, Any]:
    """The figure's value in each release, None where it was not measured, and where idle."""
    read: list[float | None] = []
    idle = []
    for results in releases.values():
        document = results.get(figure.benchmark)
        try:
            if document is None:
                raise LookupError(figure.benchmark)
            value = figure.read(document)
            read.append(None if value is None else float(value))
            idle.append(document["machine"]["load_average"][0] <= _IDLE)
        except (LookupError, TypeError):
            read.append(None)
            idle.append(False)
    return {"unit": figure.unit, "values": read, "idle": idle}


def figures(releases: Mapping[str, Mapping[str, Document]]) -> list[Figure]:
    """What is drawn; those of a GPU for each card that was measured."""
    cards = sorted({name for results in releases.values() for name in results if _is_card(name)})
    return [*_FIGURES, *(figure for card in cards for figure in _of_card(card))]


def draw(found: Mapping[str, Mapping[str, Any]], releases: Sequence[str], place: Path) -> None:
    """Small panels, logarithmic, those that hold a value; the same bytes for the same numbers."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas

    shown = {t: one for t, one in found.items() if any(v is not None for v in one["values"])}
    lines = -(-len(shown) // _COLUMNS)
    with matplotlib.rc_context({"svg.hashsalt": "memoria", "svg.fonttype": "none", "font.size": 8}):
        canvas = Canvas(figsize=(3.2 * _COLUMNS, 2.1 * lines), layout="constrained")
        panels = canvas.subplots(lines, _COLUMNS, squeeze=False).flat
        for panel, (title, one) in zip(panels, shown.items(), strict=False):
            points = [(n, v) for n, v in enumerate(one["values"]) if v is not None]
            panel.plot(*zip(*points, strict=True), color=_INK, linewidth=1)
            for number, value in points:
                fill = _INK if one["idle"][number] else _BUSY
                panel.plot(number, value, "o", color=_INK, markerfacecolor=fill, markersize=5)
                panel.annotate(show(value), (number, value), (0, 6), textcoords="offset points")
            panel.set(title=f"{title} [{one['unit']}]", yscale="log")
            panel.set_xlim(-0.5, len(releases) - 0.2)
            panel.set_ylim(min(v for _, v in points) / 2, max(v for _, v in points) * 2)
            panel.set_xticks(range(len(releases)), releases)
            panel.set_yticks([], minor=False)  # each point says its value
            panel.minorticks_off()
            panel.spines[["top", "right"]].set_visible(False)
        for panel in canvas.axes[len(shown) :]:
            panel.set_visible(False)
        FigureCanvasSVG(canvas).print_svg(place, metadata={"Date": None})


def _at(rows: Sequence[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any]:
    """The row with these values."""
    for row in rows:
        if all(row.get(name) == value for name, value in wanted.items()):
            return row
    raise LookupError(str(wanted))


def _text(what: str, dimension: int) -> Callable[[Document], float]:
    return lambda d: 1e3 * _at(d["rows"], dimension=dimension)[what]["median_seconds"]


def _grown(memory: str, size: int) -> Callable[[Document], float]:
    rows = "nothing_dies"
    return lambda d: 1e3 * _at(d[rows][memory], engrams=size)["median_seconds"]


def _verb(verb: str, size: int) -> Callable[[Document], float]:
    def read(document: Document) -> float:
        store = _at(document["stores"], engrams=size)
        return float(store.get("verbs", store)[verb]["median_seconds"])

    return read


def _stored(what: str) -> Callable[[Document], float]:
    return lambda d: 1e3 * _at(d["sizes"], engrams=1_000_000)[what]["median_seconds"]


_FIGURES: Sequence[Figure] = (
    Figure("text step in a store, D=384", "ms", "text", _text("store", 384)),
    Figure("text step in memory, D=384", "ms", "text", _text("sparse", 384)),
    Figure("memoria step", "sentences/s", "text", lambda d: d["command"]["sentences_per_second"]),
    Figure(
        "paper's rule, about 1,100 alive",
        "ms",
        "step_time",
        lambda d: 1e3 * d["text_with_rule"]["sparse"]["median_seconds"],
    ),
    Figure(
        "upstream over that",
        "x",
        "step_time",
        lambda d: d["ratios"]["text_upstream_over_sparse"],
    ),
    Figure("sparse step at 3,000", "ms", "step_time", _grown("sparse", 3000)),
    Figure("sparse step at 8,000", "ms", "step_time", _grown("sparse", 8000)),
    Figure("sparse step at 10^6", "ms", "step_time", _grown("sparse", 1_000_000)),
    Figure(
        "upstream over sparse at 3,000",
        "x",
        "step_time",
        lambda d: d["ratios"]["upstream_over_sparse"]["3000"],
    ),
    Figure(
        "upstream over sparse at 8,000",
        "x",
        "step_time",
        lambda d: d["ratios"]["upstream_over_sparse"]["8000"],
    ),
    Figure(
        "upstream over dense, 8 lanes",
        "x",
        "step_time",
        lambda d: d["ratios"]["lanes_upstream_over_dense"],
    ),
    Figure(
        "commit at 10^5",
        "ms",
        "store",
        lambda d: 1e3 * _at(d["sizes"], engrams=100_000)["commit"]["median_seconds"],
    ),
    Figure(
        "commit over fsync at 10^5",
        "x",
        "store",
        lambda d: _at(d["sizes"], engrams=100_000)["commit_over_fsync"],
    ),
    Figure("step in a store at 10^6", "ms", "store", _stored("step")),
    Figure("warm step in a store at 10^6", "ms", "store", _stored("warm_step")),
    Figure("step in memory at 10^6", "ms", "store", _stored("step_in_memory")),
    Figure("--help", "s", "commands", lambda d: d["commands"]["--help"]["median_seconds"]),
    Figure("memoria add at 10^3", "s", "commands", _verb("add", 1000)),
    Figure("memoria remind at 10^5", "s", "commands", _verb("remind", 100_000)),
    Figure("memoria inspect at 10^6", "s", "commands", _verb("inspect", 1_000_000)),
    Figure("hash", "texts/s", "encode", lambda d: _at(d["rows"], name="hash")["texts_per_second"]),
    Figure(
        "upstream over ours, memory of a training step",
        "x",
        "training",
        lambda d: d["devices"]["cpu"]["memory_upstream_over_ours"],
    ),
    Figure(
        "GPT-2 with memory over plain",
        "x",
        "models",
        lambda d: d["over_plain"]["GPT-2 with memory"],
    ),
    Figure(
        "memoria step, 10,000 steps",
        "processor s",
        "long_life",
        lambda d: d["commands"]["step"]["processor_seconds"],
    ),
    Figure("a report", "s", "report", lambda d: d["reports"][-1]["write"]["median_seconds"]),
)


def _is_card(name: str) -> bool:
    return name.startswith("gpu.") and name != "gpu.cpu"


def _of_card(name: str) -> list[Figure]:
    card = name.partition(".")[2]

    def dense(lanes: int, size: int) -> Callable[[Document], float]:
        return lambda d: _at(d["steps"], lanes=lanes, engrams=size)["upstream_over_ours"]

    return [
        Figure(f"{card}: upstream over dense, 8 x 3,000", "x", name, dense(8, 3000)),
        Figure(f"{card}: upstream over dense, 32 x 8,000", "x", name, dense(32, 8000)),
        Figure(
            f"{card}: GPT-2 with memory over plain",
            "x",
            name,
            lambda d: d["models"]["over_plain"]["GPT-2 with memory"],
        ),
    ]
