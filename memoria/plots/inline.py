"""Pictures that a notebook shows in line."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from memoria.analysis.result import Analysis
from memoria.plots.drawing import draw


@dataclass(frozen=True)
class Still:
    """A .png that a notebook shows where it is the last value of a cell.

    Attributes:
        png: the file's bytes.
        alt: what it shows, in words; a notebook shows them where it shows no pictures.
    """

    png: bytes
    alt: str

    def __repr__(self) -> str:
        return self.alt

    def _repr_png_(self) -> bytes:
        return self.png

    @classmethod
    def of_file(cls, path: str | os.PathLike[str], alt: str) -> Still:
        """The picture in a file.

        Args:
            path: a PNG file.
            alt: what it shows, in words.
        """
        return cls(Path(path).read_bytes(), alt)


def still(analysis: Analysis) -> Still:
    """``analysis`` as a picture for a notebook; `figure` is one to zoom and point into.

    Raises:
        MissingExtraError: the extra ``viz`` is not installed.
    """
    with tempfile.TemporaryDirectory(prefix="memoria-still-") as folder:
        path = Path(folder, "still.png")
        draw(analysis, path)
        return Still.of_file(path, analysis.alt)
