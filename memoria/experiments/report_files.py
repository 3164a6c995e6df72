"""A report as a file: Markdown, one page of HTML, or JSON."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from memoria.errors import InputError, MemoriaError, MissingExtraError
from memoria.experiments.panels import Panels, colour, plain
from memoria.experiments.records import as_json
from memoria.experiments.report import ExperimentReport, Report
from memoria.io.atomic_write import atomic_write, check_target

FORMATS: Final = (".md", ".html", ".json")
# What means something in Markdown, or could begin a tag; some of it only in front.
_MARKS = re.compile(r"([\\`*\[\]|<>&~$^]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[-+#=])")
_LISTS = re.compile(r"^(\d+)([.)])")
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
<p class="brand">Memoria experiments</p>
{body}
</main>
</body>
</html>
"""
_STYLE: Final = """body { max-width: 75rem; }
h1, h2, h3 { margin: 1.5rem 0 .5rem; }
h2 { border-top: 1px solid var(--line); padding-top: 1.2rem; }
main > p, figcaption { max-width: 60rem; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 0 0 1rem; }
table { font-size: .9em; background: var(--card); }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .7rem; text-align: left; }
tbody th { font-weight: 500; }
figure { margin: 0 0 1.5rem; overflow-x: auto; }
figcaption { color: var(--soft); font-size: .875rem; }
img { max-width: 100%; background: #fff; border-radius: .4rem; }
@media (prefers-color-scheme: dark) { img { filter: invert(.91) hue-rotate(180deg); } }
@media (max-width: 40rem) { img { max-width: none; width: 38rem; } }
@media print {
  .scroll, figure { overflow: visible; }
  tr, figure { break-inside: avoid; }
  img { filter: none; max-width: 100%; width: auto; }
}
"""


def write_report(report: Report, path: Path, force: bool = False) -> list[str]:
    """Write the report as Markdown, as one page of HTML, or as JSON.

    HTML holds its pictures; those of Markdown lie beside it as ``STEM-EXPERIMENT-NAME.png``.

    Args:
        report: what `read_report` found.
        path: ends with .md, .html or .json.
        force: replace files that exist.

    Returns:
        Notes for the user, such as why plots are missing.

    Raises:
        InputError: another ending.
        StoreExistsError: ``path`` exists, without ``force``.
        StorageError: it cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: unknown kind of report", f"name a file that ends with {known}")
    check_target(path, force)
    if ending == ".json":
        _write(path, as_json(report.document()), force)
        return []
    with tempfile.TemporaryDirectory(prefix="memoria-report-") as folder:
        pictures, notes = _drawn(report, Path(folder))
        if ending == ".html":
            _write(path, _page(list(parts(report, pictures))), force)
            return notes
        beside = {
            name: [_beside(path, name, one, force) for one in files]
            for name, files in pictures.items()
        }
        _write(path, _markdown(parts(report, beside)), force)
    return notes


def _drawn(report: Report, folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Each experiment's own plots, and one of all numbers; without matplotlib a note."""
    drawn: dict[str, list[Path]] = {}
    notes: list[str] = []
    for number, one in enumerate(report.experiments):
        here = folder / str(number)
        here.mkdir()
        try:
            own = one.experiment.draw(one.done, here) if one.experiment and one.done else []
            drawn[one.name] = [*own, *draw_dots(one, here / "numbers.png")]
        except MissingExtraError as error:
            return {}, [f"without plots: {error}"]
        except MemoriaError as error:
            notes.append(f"{one.name}: without plots: {error}")
    return drawn, notes


def _beside(path: Path, name: str, picture: Path, force: bool) -> Path:
    target = path.with_name(f"{path.stem}-{_NOT_A_NAME.sub('_', name)}-{picture.name}")
    with atomic_write(target, force) as temporary:
        shutil.copyfile(picture, temporary)
    return target


def _write(path: Path, text: str, force: bool) -> None:
    with atomic_write(path, force) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _markdown(content: Iterable[Part]) -> str:
    lines: list[str] = []
    for part in content:
        if isinstance(part, Heading):
            lines.append(f"{'#' * part.level} {_plain(part.text)}")
        elif isinstance(part, Paragraph):
            lines.append(_plain(part.text))
        elif isinstance(part, Picture):
            lines.append(f"![{_plain(part.text)}](<{part.path.name}>)")
        else:
            rows = [part.columns, ["---"] * len(part.columns), *part.rows]
            cells = [[cell if row is rows[1] else _cell(cell) for cell in row] for row in rows]
            lines.append("\n".join(f"| {' | '.join(row)} |" for row in cells))
    return "\n\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    flat = " ".join(text.split())
    return _LISTS.sub(r"\1\\\2", _MARKS.sub(r"\\\1", flat))


def _cell(text: str) -> str:
    """As `_plain`; in a cell nothing stands in front of a line."""
    return _plain(f"x {text}")[2:]


def _page(content: list[Part]) -> str:
    title = next((part.text for part in content if isinstance(part, Heading)), "Runs")
    from memoria.report.style import house_style

    body = "\n".join(map(_element, content))
    return _PAGE.format(title=html.escape(title), style=house_style() + _STYLE, body=body)


def _element(part: Part) -> str:
    if isinstance(part, Heading):
        return f"<h{part.level}>{html.escape(part.text)}</h{part.level}>"
    if isinstance(part, Paragraph):
        return f"<p>{html.escape(part.text)}</p>"
    if isinstance(part, Picture):
        data = base64.b64encode(part.path.read_bytes()).decode("ascii")
        words = html.escape(part.text)
        return (
            f'<figure tabindex="0"><img alt="{words}" src="data:image/png;base64,{data}">'
            f"<figcaption>{words}</figcaption></figure>"
        )
    head = "".join(f'<th scope="col">{html.escape(one)}</th>' for one in part.columns)
    rows = "\n".join(
        f'<tr><th scope="row">{html.escape(first)}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in part.rows
    )
    label = html.escape(", ".join(part.columns))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table of {label}">'
        f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


class Heading(NamedTuple):
    """A title; ``level`` 1 is that of the whole."""

    level: int
    text: str


class Paragraph(NamedTuple):
    """A few sentences."""

    text: str


class Rows(NamedTuple):
    """A table: cells of text under headings."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


class Picture(NamedTuple):
    """A file with a picture, and what it shows."""

    path: Path
    text: str


_MOST_VALUES: Final = 5
_LONGEST: Final = 60

Part = Heading | Paragraph | Rows | Picture


def parts(report: Report, pictures: dict[str, list[Path]]) -> Iterator[Part]:
    """The report from top to bottom, with the ``pictures`` of each experiment."""
    yield Heading(1, f"Runs in {report.path.resolve().name}")
    for one in report.experiments:
        yield from _experiment(one, pictures.get(one.name, []))
    if report.unreadable:
        yield Heading(2, "Not readable")
        rows = [(str(one.path), one.message) for one in report.unreadable]
        yield Rows(("folder", "why"), rows)


def _experiment(one: ExperimentReport, pictures: Sequence[Path]) -> Iterator[Part]:
    yield Heading(2, one.name)
    if one.summary:
        yield Paragraph(one.summary)
    yield Paragraph(
        f"{len(one.done)} of {len(one.records)} runs are done; mean ± standard deviation over "
        "seeds, [95 % bootstrap interval of the mean]."
    )
    if differing := one.differing():
        listed = "; ".join(f"{key}: {_values(values)}" for key, values in differing.items())
        yield Paragraph(f"Not all runs have the same settings, so mind what is compared. {listed}.")
    titles = [metric.title for metric in one.metrics]
    yield Rows(("variant", "runs", *titles), [_variant(row, one) for row in one.variants])
    if one.comparisons:
        yield Heading(3, f"{one.against} minus each, seed by seed")
        columns = ("variant", "metric", "pairs", "difference", "95 % interval", "higher in", "p")
        yield Rows(columns, [_comparison(row, one) for row in one.comparisons])
        yield Paragraph(one.limits() or "One pair has neither interval nor p.")
    for finding in one.findings:
        yield Paragraph(finding)
    if one.breakdown:
        yield Heading(3, "In parts")
        keys = [key for key in one.breakdown[0] if not key.endswith("interval")]
        yield Rows(keys, [[_part(row, key) for key in keys] for row in one.breakdown])
    for path in pictures:
        yield Picture(path, f"{one.name}: {path.stem}")
    if one.unfinished:
        yield Heading(3, "Not finished, and counted nowhere")
        rows = [(run.variant, str(run.seed), run.status, run.error or "") for run in one.unfinished]
        yield Rows(("variant", "seed", "status", "why"), rows)


def _variant(row: dict[str, Any], one: ExperimentReport) -> list[str]:
    cells = [_spread(row["metrics"][metric.name]) for metric in one.metrics]
    return [row["variant"], str(row["runs"]), *cells]


def _comparison(row: dict[str, Any], one: ExperimentReport) -> list[str]:
    titles = {metric.name: metric.title for metric in one.metrics}
    return [
        row["variant"],
        titles[row["metric"]],
        str(row["pairs"]),
        f"{row['difference']:+.4g}",
        _between(row["interval"]),
        f"{row['higher']} of {row['pairs']}",
        "-" if row["p"] is None else f"{row['p']:.3g}",
    ]


def _part(row: dict[str, Any], key: str) -> str:
    """A value of a breakdown, with the interval of ``mean`` or ``KEY_interval`` behind it."""
    value = row[key]
    if not isinstance(value, float):
        return "-" if value is None else str(value)
    interval = row.get("interval" if key == "mean" else f"{key}_interval")
    return f"{value:.4g}" + ("" if interval is None else f" [{_between(interval)}]")


def _values(values: Sequence[Any]) -> str:
    shown = [_short(json.dumps(value)) for value in values[:_MOST_VALUES]]
    return ", ".join(shown) + (", ..." if len(values) > _MOST_VALUES else "")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _spread(found: dict[str, Any]) -> str:
    if found["mean"] is None:
        return "-"
    sd = "" if found["sd"] is None else f" ± {found['sd']:.3g}"
    interval = "" if found["interval"] is None else f" [{_between(found['interval'])}]"
    return f"{found['mean']:.4g}{sd}{interval}"


def _between(interval: Sequence[float] | None) -> str:
    return "-" if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}"


_MOST_METRICS: Final = 9
_MOST_VARIANTS: Final = 30


def draw_dots(report: ExperimentReport, path: Path) -> list[Path]:
    """Draw the final numbers of runs: a panel a metric, a row a variant, a dot a seed.

    The bar is the mean. More than 30 variants or 9 metrics are left to the table.

    Returns:
        ``[path]``, or nothing if there are no numbers.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    metrics = [
        one
        for one in report.metrics
        if any(row["metrics"][one.name]["mean"] is not None for row in report.variants)
    ][:_MOST_METRICS]
    rows = [row for row in report.variants if row["runs"]][:_MOST_VARIANTS]
    if not metrics or not rows:
        return []
    panels = Panels(len(metrics), rows=len(rows))
    for panel, metric in enumerate(metrics):
        axes = panels[panel]
        for number, row in enumerate(rows):
            found = row["metrics"][metric.name]
            values = list(found["values"].values())
            axes.plot(values, [number] * len(values), "o", color=colour(number), alpha=0.6, ms=4)
            if found["mean"] is not None:
                axes.plot([found["mean"]], [number], "|", color=colour(number), ms=16, mew=2)
        names = [plain(row["variant"]) for row in rows] if panels.starts_a_row(panel) else []
        axes.set_yticks(range(len(rows)), names or [""] * len(rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        panels.finish(panel, metric.title, "")
    return panels.write(path)
