"""A report as a file: Markdown, one page of HTML, LaTeX, comma-separated values, or JSON."""

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
from memoria.experiments.panels import FIGURES, Panels, colour, figures_as, plain
from memoria.experiments.records import as_json, plain_name
from memoria.experiments.report import ExperimentReport, Report
from memoria.experiments.report_tables import as_csv, latex, latex_figure, latex_table
from memoria.experiments.swept import draw_swept
from memoria.io.atomic_write import atomic_write, check_target

FORMATS: Final = (".md", ".html", ".tex", ".csv", ".json")
_NO_PICTURES: Final = (".csv", ".json")
_TYPES: Final = {".svg": "image/svg+xml", ".jpg": "image/jpeg"}  # others are PNG
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


def write_report(
    report: Report, path: Path, force: bool = False, figures: str | None = None
) -> list[str]:
    """Write the report as Markdown, as one page of HTML, as LaTeX, as CSV, or as JSON.

    HTML holds its pictures; those of the others lie beside it as ``STEM-EXPERIMENT-NAME.png``.
    LaTeX is tables and figures to include in a document that uses booktabs and graphicx.

    Args:
        report: what `read_report` found.
        path: ends with .md, .html, .tex, .csv or .json.
        force: replace files that exist.
        figures: "png", "svg" or "pdf". Unless given, LaTeX has pdf, CSV and JSON none, others png.

    Returns:
        Notes for the user, such as why plots are missing.

    Raises:
        InputError: another ending, or figures that such a file cannot show.
        StoreExistsError: ``path`` exists, without ``force``.
        StorageError: it cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: unknown kind of report", f"name a file that ends with {known}")
    _check_figures(path, figures)
    check_target(path, force)
    if ending == ".json":
        _write(path, as_json(report.document()), force)
    elif ending == ".csv":
        _write(path, as_csv(report), force)
    if figures is None and ending in _NO_PICTURES:
        return []
    with (
        tempfile.TemporaryDirectory(prefix="memoria-report-") as folder,
        figures_as(figures or ("pdf" if ending == ".tex" else FIGURES[0])),
    ):
        pictures, notes = _drawn(report, Path(folder))
        if ending == ".html":
            _write(path, _page(list(parts(report, pictures))), force)
            return notes
        beside = {
            name: [_beside(path, name, one, force) for one in files]
            for name, files in pictures.items()
        }
        if ending == ".md":
            _write(path, _markdown(parts(report, beside)), force)
        elif ending == ".tex":
            _write(path, _latex(parts(report, beside)), force)
    return notes


def _check_figures(path: Path, figures: str | None) -> None:
    shown = {".html": ("png", "svg"), ".tex": ("png", "pdf")}.get(path.suffix.lower(), FIGURES)
    if figures is not None and figures not in shown:
        what = f"figures = {figures!r}: none that {path.suffix} can show"
        raise InputError(what, f"choose one of {', '.join(shown)}")


def _drawn(report: Report, folder: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """Each experiment's own plots, and one of all numbers; without matplotlib a note."""
    drawn: dict[str, list[Path]] = {}
    notes: list[str] = []
    for number, one in enumerate(report.experiments):
        here = folder / str(number)
        here.mkdir()
        try:
            own = one.experiment.draw(one.done, here) if one.experiment and one.done else []
            swept = draw_swept(one.done, one.metrics, here, one.references)
            drawn[one.name] = [*own, *swept, *draw_dots(one, here / "numbers.png")]
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


def _latex(content: Iterable[Part]) -> str:
    """Tables with the title above them as caption, figures, and the rest as comments and text."""
    lines = ["% needs the packages booktabs and graphicx"]
    titles: list[str] = []
    for part in content:
        if isinstance(part, Heading):
            titles = [*titles[: part.level - 1], part.text]
        elif isinstance(part, Rows):
            lines.append(latex_table(part.columns, part.rows, ": ".join(titles[1:]) or titles[0]))
        elif isinstance(part, Picture):
            lines.append(latex_figure(part.path, part.text))
        else:
            lines.append(latex(part.text))
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
        words, kind = html.escape(part.text), _TYPES.get(part.path.suffix, "image/png")
        return (
            f'<figure tabindex="0"><img alt="{words}" src="data:{kind};base64,{data}">'
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
    titles = [metric.heading for metric in one.metrics]
    columns = ["variant", "runs", *titles, "seconds", "peak memory"]
    if any(row["network"] for row in one.variants):
        columns += ["parameters", "inner width"]
    yield Rows(columns, [_variant(row, one)[: len(columns)] for row in one.variants])
    yield from _references(one)
    if one.comparisons:
        yield Heading(3, f"{plain_name(one.against)} minus each, seed by seed")
        if one.conditions:
            same = ", ".join(one.conditions)
            yield Paragraph(f"Compared within equal conditions only: with the same {same}.")
        against = ["against"] if one.conditions else []
        columns = ["variant", *against, "metric", "pairs", "difference", "95 % interval"]
        columns += ["higher in", "p", "t-test"]
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
    network = row["network"] or {}
    return [
        row["variant"],
        str(row["runs"]),
        *cells,
        "-" if row["seconds"] is None else f"{row['seconds']:.3g}",
        _memory(row["peak_bytes"]),
        *(str(network.get(key, "-")) for key in ("parameters", "inner")),
    ]


def _memory(count: float | None) -> str:
    return "-" if count is None else f"{count / 2**20:.0f} MiB"


def _references(one: ExperimentReport) -> Iterator[Part]:
    """What to compare the first metric with: one sentence for all, or a row for each condition."""
    told: dict[str, list[str]] = {}
    for variant, found in one.references.items():
        if found:
            text = ", ".join(f"{name} {value:.4g}" for name, value in found.items())
            told.setdefault(text, []).append(variant)
    title = one.metrics[0].title if one.metrics else ""
    for text, variants in told.items():
        where = "" if len(told) == 1 else f" of {', '.join(variants)}"
        yield Paragraph(f"For comparison, {title}{where}: {text}.")


def _comparison(row: dict[str, Any], one: ExperimentReport) -> list[str]:
    titles = {metric.name: metric.heading for metric in one.metrics}
    return [
        row["variant"],
        *([row["against"]] if one.conditions else []),
        titles[row["metric"]],
        str(row["pairs"]),
        f"{row['difference']:+.4g}",
        _between(row["interval"]),
        f"{row['higher']} of {row['pairs']}",
        *("-" if row[key] is None else f"{row[key]:.3g}" for key in ("p", "welch_p")),
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

    The bar is the mean; a dotted line in the first panel is guessing. More than 30 variants or 9
    metrics are left to the table.

    Returns:
        The file written, or nothing if there are no numbers.

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
            guessing = report.references.get(row["variant"], {}).get("guessing")
            if guessing is not None and panel == 0:
                ends = (number - 0.5, number + 0.5)
                axes.plot([guessing] * 2, ends, ":", color="#7F7F7F", lw=1.5)
        names = [plain(row["variant"]) for row in rows] if panels.starts_a_row(panel) else []
        axes.set_yticks(range(len(rows)), names or [""] * len(rows))
        axes.set_ylim(len(rows) - 0.5, -0.5)
        panels.finish(panel, metric.heading, "")
    return panels.write(path)
