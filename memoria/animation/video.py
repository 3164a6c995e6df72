"""Frames as a .mp4, by the ffmpeg that imageio-ffmpeg brings (extra ``viz``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from memoria.errors import MissingExtraError, StorageError

__all__ = ["save_video"]

_QUALITY: Final = ["-crf", "20", "-preset", "medium", "-threads", "1"]
_SAME: Final = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1"]


def save_video(path: Path, frames: Iterator[npt.NDArray[np.uint8]], fps: float) -> None:
    """Write ``frames``, H.264 that browsers show. Raises `StorageError` where ffmpeg fails."""
    try:
        import imageio_ffmpeg
    except ImportError:
        raise MissingExtraError("writing .mp4", "viz") from None
    first = next(frames)
    writer = imageio_ffmpeg.write_frames(
        str(path),
        (first.shape[1], first.shape[0]),
        fps=fps,
        codec="libx264",
        pix_fmt_out="yuv420p",
        quality=None,
        macro_block_size=2,
        ffmpeg_log_level="error",
        output_params=[*_QUALITY, *_SAME, "-movflags", "+faststart", "-f", "mp4"],
    )
    try:
        writer.send(None)
        writer.send(np.ascontiguousarray(first))
        for frame in frames:
            writer.send(np.ascontiguousarray(frame))
    except OSError as error:
        raise StorageError(f"{path.name}: ffmpeg: {error}") from None
    finally:
        writer.close()
