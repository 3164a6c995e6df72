"""Frames as a .gif, by pillow (extra ``viz``): one palette for all, so that little changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import MissingExtraError

__all__ = ["delay", "save_gif"]

_COLOURS: Final = 80
_HUNDREDTH: Final = 10  # milliseconds: delays are told in these
_SHORTEST: Final = 2  # of them, that browsers keep to

Picture = npt.NDArray[np.uint8]


def delay(fps: float) -> int:
    """Milliseconds between two frames, as a .gif can tell them: whole hundredths of a second."""
    return max(_SHORTEST, round(100.0 / fps)) * _HUNDREDTH


def save_gif(path: Path, samples: list[Picture], frames: Iterator[Picture], fps: float) -> None:
    """Write ``frames``, whose colours are those of the ``samples``, for ever repeated."""
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("writing .gif", "viz") from None
    palette = Image.fromarray(np.concatenate(samples)).quantize(
        _COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )

    def told(picture: Picture) -> Any:
        return Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)

    with open(path, "wb") as file:
        told(next(frames)).save(
            file,
            format="GIF",
            save_all=True,
            append_images=map(told, frames),
            duration=delay(fps),
            loop=0,
            optimize=False,
            disposal=1,
        )
