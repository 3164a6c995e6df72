"""`render`: a life as a file that moves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.animation.gif import delay, save_gif
from memoria.animation.interpolate import moment
from memoria.animation.layout import Staging, stage
from memoria.animation.page import save_page
from memoria.animation.pictures import Painter, painting, swatches
from memoria.animation.select import Cast, cast, shown_steps
from memoria.animation.video import save_video
from memoria.errors import ConfigError, InputError
from memoria.io.atomic_write import check_free, check_outside, written_aside
from memoria.io.progress import Progress, progress_bar
from memoria.store.replay.walk import walk

__all__ = ["FORMS", "FPS", "MOST_FRAMES", "SPEED", "render"]

FORMS: Final = ("gif", "mp4", "html")
FPS: Final = {"gif": 12.0, "mp4": 24.0, "html": 0.0}  # where none are asked for
SPEED: Final = 2.0  # steps a second
MOST_FRAMES: Final = 1500
_WIDTH: Final = {"gif": 800, "mp4": 1280}  # pixels
_SAMPLES: Final = 5  # steps, of which
_PARTS: Final = (0.1, 0.25, 0.69)  # these moments have all the colours that a .gif has

Picture = npt.NDArray[np.uint8]


def render(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    at: int | str | None = None,
    first: int | None = None,
    last: int | None = None,
    lane: int | None = None,
    speed: float = SPEED,
    fps: float | None = None,
    most_engrams: int = 200,
    force: bool = False,
    progress: Progress | bool = False,
) -> dict[str, Any]:
    """Draw steps ``first`` to ``last`` of the store at ``path`` into ``out``: .gif, .mp4, .html.

    ``speed`` steps a second in ``fps`` frames a second; of more than 120 steps 120 are shown.
    The same store makes the same bytes. The file is there as a whole or not at all, and with
    ``force`` replaces what is there. Returns what was made. Raises `InputError`, `ConfigError`,
    `StoreExistsError`, `StorageError`, `MissingExtraError`.
    """
    place, form = Path(os.path.abspath(out)), Path(out).suffix.lower().removeprefix(".")
    if form not in FORMS:
        known = ", ".join(f".{one}" for one in FORMS)
        raise InputError(f"{out}: the extension names no animation", f"known are {known}")
    for name, value, most in (("speed", speed, 60.0), ("fps", fps, 60.0)):
        if value is not None and not 0.1 <= value <= most:
            raise ConfigError(f"{name} = {value:g}: must be from 0.1 to {most:g}")
    check_free(place, force)
    with progress_bar(progress, "drawing", "frames") as show:
        with (
            walk(path, first, last, lane, at) as before,
            walk(path, first, last, lane, at) as course,
        ):
            check_outside(place, course.path)
            steps = shown_steps(course.first, course.last)
            rate = fps or FPS[form]
            each = max(1, round(rate / speed)) if rate else 1
            if each * len(steps) > MOST_FRAMES:
                raise InputError(
                    f"{each * len(steps):,} frames: at most {MOST_FRAMES:,} are drawn",
                    "a higher speed, fewer frames a second, or fewer steps make less of them",
                )
            shown = cast(before, course, steps, most_engrams, show)
            there = course.last - course.first + 1
        staging = stage(shown)
        with written_aside(place, lambda: check_free(place, force)) as aside:
            if form == "html":
                save_page(aside, shown, staging, place.stem, speed, show)
            else:
                with painting(shown, _WIDTH[form]) as painter:
                    frames = _frames(painter, shown, staging, each, show)
                    if form == "gif":
                        samples = [
                            painter.picture(moment(shown, staging, row, part))
                            for row in np.linspace(0, len(steps) - 1, _SAMPLES).astype(int).tolist()
                            for part in _PARTS
                        ]
                        samples.append(swatches(_WIDTH[form]))
                        save_gif(aside, samples, frames, rate)
                    else:
                        save_video(aside, frames, rate)
    between = delay(rate) / 1000 if form == "gif" else 1 / rate if rate else 1 / speed
    return {
        "path": str(place),
        "format": form,
        "bytes": place.stat().st_size,
        "from": int(steps[0]),
        "to": int(steps[-1]),
        "steps": there,
        "steps_shown": len(steps),
        "engrams": int(shown.totals[-1, 0]),
        "engrams_shown": len(shown.ids),
        "frames": each * len(steps),
        "seconds": round(each * len(steps) * between, 3),
    }


def _frames(
    painter: Painter, shown: Cast, staging: Staging, each: int, progress: Progress
) -> Iterator[Picture]:
    total = each * len(shown.steps)
    for number in range(total):
        row, part = number // each, (number % each + 0.5) / each
        yield painter.picture(moment(shown, staging, row, part))
        progress(number + 1, total)
