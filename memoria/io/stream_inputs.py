"""One input at a time: what kind it is, and the pieces it holds, each to become an engram."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError, ShapeError
from memoria.io.inputs import TextUnit, classify, literal_texts, open_array, read_texts
from memoria.io.inputs.files import check_file
from memoria.io.inputs.texts import read_standard_input
from memoria.io.units import flatten, parse_unit

__all__ = ["InputReader", "Piece", "Place", "Plan", "Source", "Vectors"]

Place: TypeAlias = tuple[str, int]
Vectors: TypeAlias = NDArray[np.float32]

_READ_BYTES: Final = 1 << 24  # of an array, at a time


class Piece(NamedTuple):
    """What becomes one engram. ``content``: the text to encode, an image's path, or a vector."""

    content: Any
    is_vector: bool
    text: str | None
    place: Place


Plan: TypeAlias = list[list[Piece]]  # one working memory, [B][W]


@dataclass(frozen=True)
class Source:
    """One input: units of it (``text``, ``literal``, ``image``, ``rows``) or whole ``steps``."""

    kind: Literal["text", "literal", "image", "rows", "steps"]
    spec: str
    length: int = 0  # of an array's first axis, in the form [T, B, W, D] or [N, D]


class InputReader:
    """The inputs of a memory with B ``lanes`` and D ``dimension``, read as often as asked.

    ``sources`` are the files of ``inputs`` in order, then the ``texts``. Raises on construction
    `InputError` for what is missing, empty or unknown, `ShapeError` for arrays that do not fit,
    `StorageError` where the system refuses.
    """

    def __init__(
        self,
        lanes: int,
        dimension: int,
        inputs: Sequence[str | os.PathLike[str]],
        texts: Sequence[str],
        stdin: Any,
        unit: str,
    ) -> None:
        parse_unit(unit)
        self._lanes, self._dimension, self._unit = lanes, dimension, unit
        specs = [os.fspath(item) for item in inputs]
        if not specs and not texts:
            raise InputError("no input given", "name files, '-' for standard input, or a text")
        if specs.count("-") > 1:
            raise InputError("'-' is given twice", "standard input can be read once")
        self._literals = list(literal_texts(texts, unit)) if texts else []
        self.sources = [self._source(spec) for spec in specs]
        self.sources += [Source("literal", f"text:{number}") for number in range(1, len(texts) + 1)]
        self._stdin = read_standard_input(stdin) if "-" in specs else b""

    def pieces(self, source: Source) -> Iterator[Piece]:
        """The units of an input that is not of whole ``steps``, in order."""
        if source.kind == "image":
            yield Piece(Path(source.spec), False, None, (source.spec, 0))
        elif source.kind == "rows":
            array = open_array(source.spec)
            step = max(1, _READ_BYTES // (4 * self._dimension))
            for start in range(0, source.length, step):
                rows = array.rows(start, start + step)
                _check_finite(rows, source.spec, start)
                for number, row in enumerate(rows, start):
                    yield Piece(row, True, None, (source.spec, number))
        else:
            for unit in self._units(source):
                yield Piece(flatten(unit.text), False, unit.text, (unit.source, unit.offset))

    def steps(self, source: Source) -> Iterator[Plan]:
        """The working memories of an array [T, B, W, D]; a place is the row within its lane."""
        array = open_array(source.spec)
        shape = array.shape
        if len(shape) == 3 and self._lanes > 1:
            slabs = iter([array.read()[None]])
        else:
            step = max(1, _READ_BYTES // (4 * math.prod(shape[1:])))
            starts = range(0, shape[0], step)
            slabs = (array.rows(start, start + step) for start in starts)
        width, step_number = shape[-2], 0
        for slab in slabs:
            _check_finite(slab, source.spec, step_number)
            for data in slab.reshape(len(slab), self._lanes, width, self._dimension):
                first = step_number * width
                yield [
                    [
                        Piece(row, True, None, (source.spec, first + number))
                        for number, row in enumerate(lane)
                    ]
                    for lane in data
                ]
                step_number += 1

    def _source(self, spec: str) -> Source:
        kind = classify(spec)
        if kind == "text":
            if spec != "-" and os.path.isfile(spec):
                check_file(spec)
            return Source("text", spec)
        if kind == "image":
            check_file(spec)
            return Source("image", spec)
        shape = open_array(spec).shape
        lanes, dimension = self._lanes, self._dimension
        if shape[-1:] == (dimension,):
            if len(shape) == 2:
                return Source("rows", spec, shape[0])
            if len(shape) == 3 and (lanes == 1 or shape[0] == lanes):
                return Source("steps", spec, shape[0] if lanes == 1 else 1)
            if len(shape) == 4 and shape[1] == lanes:
                return Source("steps", spec, shape[0])
        rows = f"[N, {dimension}]" if lanes == 1 else f"[N, {dimension}] for each lane"
        three = f"[T, W, {dimension}]" if lanes == 1 else f"[{lanes}, W, {dimension}]"
        expected = f"{three}, [T, {lanes}, W, {dimension}] or {rows}"
        hint = "the store's hidden_dim and lanes are the D and B of its arrays"
        raise ShapeError(spec, expected, list(shape), hint)

    def _units(self, source: Source) -> Iterator[TextUnit]:
        if source.kind == "literal":
            return (unit for unit in self._literals if unit.source == source.spec)
        return read_texts(source.spec, self._unit, stdin=io.BytesIO(self._stdin))


def _check_finite(rows: Vectors, spec: str, start: int) -> None:
    """Raise `InputError` naming the first place along axis 0 that holds NaN or Inf."""
    finite = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
    if not finite.all():
        at = start + int(np.argmin(finite))
        raise InputError(f"{spec}: index {at} holds NaN or Inf", "remove or repair it")
