"""`draw`: an analysis as a picture in a file; `figure`: as one to go on with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

from memoria.analysis.result import Analysis
from memoria.errors import InputError
from memoria.io.atomic_write import check_free, written_aside
from memoria.plots.interactive import plotly_figure, save_page
from memoria.plots.scenes import scene_of
from memoria.plots.still import save_still

__all__ = ["PICTURES", "draw", "figure"]

PICTURES: Final = ("png", "svg", "html")


def draw(analysis: Analysis, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Write a picture of ``analysis`` to ``path``, by its extension one of `PICTURES`.

    The same analysis makes the same bytes. The file is there as a whole or not at all, and with
    ``force`` replaces what is there. Raises `InputError`, `StoreExistsError`, `StorageError`,
    `MissingExtraError`.
    """
    place = Path(os.path.abspath(path))
    form = place.suffix.lower().removeprefix(".")
    if form not in PICTURES:
        known = ", ".join(f".{one}" for one in PICTURES)
        raise InputError(f"{path}: the extension names no picture", f"known are {known}")
    scene = scene_of(analysis)
    with written_aside(place, lambda: check_free(place, force)) as aside:
        if form == "html":
            save_page(scene, aside)
        else:
            save_still(scene, aside, form)


def figure(analysis: Analysis, ground: str = "light") -> Any:
    """A ``plotly.graph_objects.Figure`` of ``analysis`` on a ``light`` or ``dark`` ground."""
    return plotly_figure(scene_of(analysis), ground)
