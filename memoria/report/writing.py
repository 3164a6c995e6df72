"""A report of a memory, from its files to one HTML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from memoria.analysis import Chronicle
from memoria.analysis.scope import in_lane
from memoria.errors import InputError
from memoria.io.atomic_write import atomic_write
from memoria.io.progress import Progress, no_progress, progress_bar
from memoria.query.inspection import Inspection
from memoria.report import summary
from memoria.report.graph import FEW_ENGRAMS, MOST_ENGRAMS, graph_of
from memoria.report.page import data_block, page
from memoria.report.plots import PLOTTED, library, plots
from memoria.report.sources import sources_of
from memoria.store.reading import open_files

_PARTS: Final = len(PLOTTED) + 3


def write_report(
    store: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    at: int | str | None = None,
    lane: int | None = None,
    most_engrams: int = FEW_ENGRAMS,
    force: bool = False,
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """Write a page about a store that opens without a network; the same state, the same bytes.

    Args:
        store: the store, an archive or an address of one.
        out: the file, which is there as a whole or not at all.
        at: a snapshot or a step to open the store at.
        lane: show this lane only.
        most_engrams: engrams in the graph at most, 1 to 2,000.
        force: replace what is there.
        progress: called with (parts done, parts in all); True shows a bar.

    Returns:
        ``path``, ``bytes``, ``step``, ``engrams`` (ever made, as far as they are known), ``shown``
        and ``connections`` (in the graph) and ``plots`` (their kinds).

    Raises:
        InputError: the lane is unknown, or ``most_engrams`` out of bounds.
        StoreExistsError, StorageError: the file is there, or cannot be written.
        MissingExtraError: the extra ``viz`` is not installed.
        MemoriaError: what opening the store raises.
    """
    if not 1 <= most_engrams <= MOST_ENGRAMS:
        raise InputError(f"most_engrams = {most_engrams}: not within 1 and {MOST_ENGRAMS}")
    target = Path(os.path.abspath(out))
    with (
        closing(open_files(store, at)) as files,
        progress_bar(progress, "report", "parts") as show,
        atomic_write(target, force) as temporary,
    ):
        script = library()
        about = Inspection(files, at).summary()  # what it has read is let go
        about["sources"] = sources_of(files)
        chronicle = Chronicle.of_store(files)
        show(1, _PARTS)
        text, graph, plots = compose(about, chronicle, lane, most_engrams, script, show)
        temporary.write_text(text, encoding="utf-8", newline="\n")
        show(_PARTS, _PARTS)
    return {
        "path": str(target),
        "bytes": target.stat().st_size,
        "step": about["step"],
        "engrams": graph["total"],
        "shown": graph["shown"],
        "connections": graph["connections"],
        "plots": plots,
    }


def compose(
    about: Mapping[str, Any],
    chronicle: Chronicle,
    lane: int | None,
    most_engrams: int,
    script: str,
    progress: Progress = no_progress,
) -> tuple[str, dict[str, Any], list[str]]:
    """Compose the page, below 10 MB however long the life is.

    Args:
        about: what `Inspection.summary` says of the store, and its ``sources``, if they are told.
        chronicle, lane, most_engrams: what to show.
        script: plotly's.
        progress: called with (parts done, parts in all).

    Returns:
        The page, its graph as `graph_of` has it, and the kinds of its plots.
    """
    graph = graph_of(chronicle, in_lane(chronicle, lane), most_engrams)
    progress(2, _PARTS)
    drawn = []
    for one in plots(chronicle, lane):
        drawn.append(one)
        progress(2 + len(drawn), _PARTS)
    name = summary.heading(about, lane)
    parts = {
        "title": f"{name}: Memoria report",
        "name": name,
        "lead": summary.lead(about),
        "summary": summary.overview(about, lane) + summary.details(about),
        "shown": summary.shown(graph, chronicle.first_step),
        "plots": "".join(one.html for one in drawn),
        "footer": summary.footer(about),
    }
    data = [data_block("data-graph", graph), *(one.data for one in drawn if one.data)]
    return page(parts, data, script), graph, [one.kind for one in drawn]
