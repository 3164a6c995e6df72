"""`render`: the life of a store as a .gif or .mp4."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.analysis import Chronicle
from memoria.analysis.result import file_format
from memoria.animation.encoders import Picture, delay, save_gif, save_video
from memoria.animation.interpolate import interpolate
from memoria.animation.layout import lay_out
from memoria.animation.painter import painting, swatches
from memoria.animation.select import select, shown_steps
from memoria.errors import ConfigError, InputError
from memoria.io.atomic_write import atomic_write, check_target
from memoria.io.progress import Progress, progress_bar
from memoria.store.reading import open_files
from memoria.store.replay.steps import steps_there

FORMS: Final = ("gif", "mp4")
FPS: Final = {"gif": 12.0, "mp4": 24.0}  # where none are asked for
SPEED: Final = 2.0  # steps a second
MOST_FRAMES: Final = 1500
_WIDTH: Final = {"gif": 800, "mp4": 1280}  # pixels
_SAMPLES: Final = 5  # steps, of which
_PARTS: Final = (0.1, 0.25, 0.69)  # these frames have all the colours that a .gif has


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
    """Draw the life of a store as a file that moves; the same store makes the same bytes.

    Args:
        path: the store.
        out: the file, which is there as a whole or not at all; its extension, one of `FORMS`, is
            the format.
        at: a snapshot or a step to open the store at.
        first, last: steps to draw, all unless given; of more than 120 steps 120 are shown.
        lane: draw the engrams of this lane only.
        speed: steps a second.
        fps: frames a second; None: `FPS` of the format.
        most_engrams: engrams shown at most, 1 to 400.
        force: replace what is there.
        progress: called with (frames drawn, frames in all); True shows a bar.

    Returns:
        What was made: path, format, bytes, from, to, steps, engrams, frames, seconds;
        ``missing``: characters that no font of this machine has, drawn as boxes; ``alt``: what it
        shows in words, which the file holds too.

    Raises:
        InputError: the extension, the steps or the lane are unknown, or too much is asked for.
        ConfigError: ``speed`` or ``fps`` is out of bounds.
        StoreExistsError, StorageError: the file is there, or cannot be written.
        MissingExtraError: the extra ``viz`` is not installed.
    """
    if Path(out).suffix.lower() == ".html":
        hint = "`memoria report` writes a page with a slider through the steps"
        raise InputError(f"{out}: animations are .gif or .mp4", hint)
    target, form = Path(os.path.abspath(out)), file_format(out, FORMS, "animation")
    for name, value, most in (("speed", speed, 60.0), ("fps", fps, 60.0)):
        if value is not None and not 0.1 <= value <= most:
            raise ConfigError(f"{name} = {value:g}: must be from 0.1 to {most:g}")
    with closing(open_files(path, at)) as files:
        check_target(target, force)
        begin, end = steps_there(files, first, last)
        steps = shown_steps(begin, end)
        rate = fps or FPS[form]
        each = max(1, round(rate / speed))
        total = each * len(steps)
        if total > MOST_FRAMES:
            raise InputError(
                f"{total:,} frames: at most {MOST_FRAMES:,} are drawn",
                "a higher speed, fewer frames a second, or fewer steps make less of them",
            )
        chronicle, initial = Chronicle.of_store(files), files.config.initial_lifespan
        shown = select(chronicle, steps, lane, most_engrams, initial)
    layout = lay_out(shown)
    alt = (
        f"Steps {steps[0]:,} to {steps[-1]:,} as a moving picture: engrams come in as working "
        "memory, move through short-term memory and settle in long-term memory near what they are "
        f"connected with; {len(shown.ids):,} engrams are drawn."
    )
    with (
        atomic_write(target, force) as temporary,
        painting(shown, _WIDTH[form]) as painter,
        progress_bar(progress, "drawing", "frames") as show,
    ):

        def picture(row: int, part: float) -> Picture:
            return painter.picture(interpolate(shown, layout, row, part))

        def pictures() -> Iterator[Picture]:
            for number in range(total):
                yield picture(number // each, (number % each + 0.5) / each)
                show(number + 1, total)

        if form == "gif":
            rows = np.linspace(0, len(steps) - 1, _SAMPLES).astype(int).tolist()
            samples = [picture(row, part) for row in rows for part in _PARTS]
            save_gif(temporary, [*samples, swatches(_WIDTH[form])], pictures(), rate, alt)
        else:
            save_video(temporary, pictures(), rate, alt)
    between = delay(rate) / 1000 if form == "gif" else 1 / rate
    return {
        "path": str(target),
        "format": form,
        "bytes": target.stat().st_size,
        "from": int(steps[0]),
        "to": int(steps[-1]),
        "steps": end - begin + 1,
        "steps_shown": len(steps),
        "engrams": int(shown.totals[-1, 0]),
        "engrams_shown": len(shown.ids),
        "frames": total,
        "seconds": round(total * between, 3),
        "missing": painter.missing,
        "alt": alt,
    }
