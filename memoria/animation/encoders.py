"""Pictures as a .gif by pillow, or as a .mp4 by the ffmpeg of imageio-ffmpeg (extra ``viz``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import MissingExtraError, StorageError

_COLOURS: Final = 80
_HUNDREDTH: Final = 10  # milliseconds: the unit of delays in a .gif
_SHORTEST: Final = 2  # of them, that browsers keep to
_QUALITY: Final = ["-crf", "20", "-preset", "medium", "-threads", "1"]
_REPEATABLE: Final = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]

Picture = npt.NDArray[np.uint8]


def delay(fps: float) -> int:
    """Milliseconds between two frames, as a .gif has them: whole hundredths of a second."""
    return max(_SHORTEST, round(100.0 / fps)) * _HUNDREDTH


def save_gif(
    path: Path, samples: list[Picture], pictures: Iterator[Picture], fps: float, alt: str = ""
) -> None:
    """Write a .gif that repeats for ever, in colours of the ``samples``: then little changes.

    ``alt``, what it shows in words, is its comment.
    """
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError("writing .gif", "viz") from None
    palette = Image.fromarray(np.concatenate(samples)).quantize(
        _COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )

    def reduced(picture: Picture) -> Any:
        return Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.NONE)

    with open(path, "wb") as file:
        reduced(next(pictures)).save(
            file,
            format="GIF",
            save_all=True,
            append_images=map(reduced, pictures),
            duration=delay(fps),
            loop=0,
            optimize=False,
            disposal=1,
            comment=alt.encode("ascii", "replace"),
        )


def save_video(path: Path, pictures: Iterator[Picture], fps: float, alt: str = "") -> None:
    """Write a .mp4 of H.264 that browsers show, with ``alt``, what it shows in words, as comment.

    Raises:
        StorageError: ffmpeg fails.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        raise MissingExtraError("writing .mp4", "viz") from None
    first = next(pictures)
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (first.shape[1], first.shape[0]),
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",
        quality=None,
        macro_block_size=2,
        ffmpeg_log_level="error",
        output_params=[
            *(*_QUALITY, *_REPEATABLE, "-metadata", f"comment={alt}"),
            *("-movflags", "+faststart", "-f", "mp4"),
        ],
    )
    try:
        writer.send(None)
        writer.send(np.ascontiguousarray(first))
        for picture in pictures:
            writer.send(np.ascontiguousarray(picture))
    except OSError as error:
        raise StorageError(f"{path.name}: ffmpeg: {error}") from None
    finally:
        writer.close()
