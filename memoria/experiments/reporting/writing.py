"""A report as a file: Markdown, one page of HTML, or JSON."""

from __future__ import annotations

import base64
import html
import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from memoria.errors import InputError, MemoriaError, MissingExtraError
from memoria.experiments.reporting.dots import draw_dots
from memoria.experiments.reporting.report import Report
from memoria.experiments.reporting.tables import Heading, Paragraph, Part, Picture, parts
from memoria.io.atomic_write import check_free, written_aside

__all__ = ["FORMATS", "write_report"]

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
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; }}
body {{ margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-size: 0.9em; }}
th, td {{ border-bottom: 1px solid var(--line); padding: 0.3rem 0.7rem; text-align: left; }}
td {{ font-variant-numeric: tabular-nums; }}
div {{ overflow-x: auto; }}
img {{ max-width: 100%; background: #fff; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def write_report(report: Report, path: Path, force: bool = False) -> list[str]:
    """Write the report to ``path``, by its ending .md, .html or .json; what a user should know.

    HTML holds its pictures; those of Markdown lie beside it as ``STEM-EXPERIMENT-NAME.png``.
    Raises `InputError` for another ending, `StoreExistsError` unless ``force``, `StorageError`.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: unknown kind of report", f"name a file that ends with {known}")
    check_free(path, force)
    if ending == ".json":
        _write(path, json.dumps(report.document(), indent=1, allow_nan=False) + "\n", force)
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
            found = (
                []
                if one.experiment is None or not one.done
                else one.experiment.draw(one.done, here)
            )
            dots = here / "numbers.png"
            drawn[one.name] = [*found, *([dots] if draw_dots(one, dots) else [])]
        except MissingExtraError as error:
            return {}, [f"without plots: {error}"]
        except MemoriaError as error:
            notes.append(f"{one.name}: without plots: {error}")
    return drawn, notes


def _beside(path: Path, name: str, picture: Path, force: bool) -> Path:
    target = path.with_name(f"{path.stem}-{_NOT_A_NAME.sub('_', name)}-{picture.name}")
    with written_aside(target, lambda: check_free(target, force)) as aside:
        shutil.copyfile(picture, aside)
    return target


def _write(path: Path, text: str, force: bool) -> None:
    with written_aside(path, lambda: check_free(path, force)) as aside:
        aside.write_text(text, encoding="utf-8")


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
    return _PAGE.format(title=html.escape(title), body="\n".join(map(_element, content)))


def _element(part: Part) -> str:
    if isinstance(part, Heading):
        return f"<h{part.level}>{html.escape(part.text)}</h{part.level}>"
    if isinstance(part, Paragraph):
        return f"<p>{html.escape(part.text)}</p>"
    if isinstance(part, Picture):
        data = base64.b64encode(part.path.read_bytes()).decode("ascii")
        return f'<img alt="{html.escape(part.text)}" src="data:image/png;base64,{data}">'
    head = "".join(f"<th>{html.escape(one)}</th>" for one in part.columns)
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in part.rows
    )
    return f"<div><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
