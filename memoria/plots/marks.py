"""What a plot shows, without how it is drawn: marks in the plane, with labels and colours.

Each kind of analysis becomes a `Scene` once; matplotlib and plotly both draw scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Numbers: TypeAlias = npt.NDArray[Any]
SHAPES: Final = ("disc", "square", "diamond", "cross")


@dataclass(frozen=True, eq=False)
class Line:
    """A line through (x, y), with a gap where y is NaN. Without a label it is not in the legend."""

    x: Numbers
    y: Numbers
    colour: str
    label: str = ""
    dots: bool = False


@dataclass(frozen=True, eq=False)
class Band:
    """The area between two lines."""

    x: Numbers
    low: Numbers
    high: Numbers
    colour: str
    label: str = ""
    strength: float = 0.22


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars from ``base`` up by ``height``, from ``left`` to ``right``."""

    left: Numbers
    right: Numbers
    base: Numbers
    height: Numbers
    colour: str
    label: str = ""


@dataclass(frozen=True, eq=False)
class Points:
    """Small marks of a ``shape`` of `SHAPES`; ``hover`` is what a pointer shows of each."""

    x: Numbers
    y: Numbers
    colour: str
    label: str = ""
    size: float = 3.0
    shape: str = "disc"
    hover: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Cloud:
    """Discs whose colours tell ``values``, from their least to their greatest, as ``label``."""

    x: Numbers
    y: Numbers
    values: Numbers
    label: str
    size: float = 3.0
    hover: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Words:
    """Words at points, those of the first most important; none lies on another where it may."""

    x: Numbers
    y: Numbers
    texts: Sequence[str]


@dataclass(frozen=True, eq=False)
class Segments:
    """Level lines at height y from ``start`` to ``end``."""

    y: Numbers
    start: Numbers
    end: Numbers
    colour: str
    label: str = ""


@dataclass(frozen=True, eq=False)
class Heat:
    """A matrix [rows, columns] of numbers from 0 to ``top``; row 0 is on top. NaN stays blank."""

    values: Numbers
    rows: Sequence[str]
    columns: Sequence[str]
    top: float
    label: str


@dataclass(frozen=True)
class Rule:
    """A level line from end to end."""

    y: float


Mark: TypeAlias = Line | Band | Bars | Points | Cloud | Words | Segments | Heat | Rule


@dataclass(frozen=True, eq=False)
class Scene:
    """Marks under a title.

    Attributes:
        title, note, x_label, y_label: words of the plot.
        alt: what it shows, for those who do not see it.
        marks: the later ones lie on top of the earlier.
        percent: the y axis shows shares as per cent.
        from_zero: the y axis begins at 0.
        levels: values of y are row numbers, not to be read.
        plane: only what is near what means something, so the axes have no numbers.
    """

    title: str
    note: str
    x_label: str
    y_label: str
    alt: str = ""
    marks: Sequence[Mark] = field(default_factory=tuple)
    percent: bool = False
    from_zero: bool = True
    levels: bool = False
    plane: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to see."""
        return all(_extent(mark) == 0 for mark in self.marks)

    @property
    def matrix(self) -> bool:
        """Whether it is a matrix rather than a plane."""
        return any(isinstance(mark, Heat) for mark in self.marks)

    @property
    def labelled(self) -> int:
        """How many marks the legend names."""
        named = [one for one in self.marks if not isinstance(one, Cloud) and _extent(one)]
        return sum(bool(getattr(mark, "label", "")) for mark in named)


def _extent(mark: Mark) -> int:
    """How many numbers the mark shows."""
    match mark:
        case Rule() | Words():
            return 0
        case Heat():
            return int(np.size(mark.values))
        case Band():
            shown = mark.low
        case Bars():
            shown = mark.height
        case _:
            shown = mark.y
    return int(np.count_nonzero(np.isfinite(np.asarray(shown, np.float64))))
