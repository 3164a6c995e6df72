"""What a user names as input: arrays, texts and images, in order, in units.

`read_inputs` yields everything as it is, for ``encode``; `InputReader` checks that it fits a memory
and cuts it into the pieces that become engrams. ``-`` is standard input.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from memoria.errors import InputError, MemoriaError, NoTextError, ShapeError, StorageError
from memoria.io.arrays import ArraySource, open_array
from memoria.io.bounds import open_regular
from memoria.io.files import Kind, check_file, check_name, classify, is_stream, reading, split_key
from memoria.io.read_options import ReadOptions, as_options
from memoria.io.text_unit import HASH_BYTES, TextUnit, hash_unit
from memoria.io.texts import literal_texts, read_stream, read_texts
from memoria.io.units import flatten

if TYPE_CHECKING:
    from memoria.io.record_lines import RecordLines

Place: TypeAlias = tuple[str, int]  # source and offset
Vectors: TypeAlias = NDArray[np.float32]

_READ_BYTES: Final = 1 << 24  # of an array, at a time


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The path of an image file; the backbone opens it."""

    path: str


InputItem: TypeAlias = ArraySource | TextUnit | ImageInput


class Piece(NamedTuple):
    """What becomes one engram.

    Attributes:
        content: the text to encode, an image's path, or a vector [D].
        is_vector: whether ``content`` is a vector already.
        text: the text, verbatim; None of images and vectors.
        place: source and offset; of a row of an array its number.
        time, meta: as in `TextUnit`.
        step_hash: of a row of a whole step its `hash`, which is of the step; else b"".
        input, unit: numbers of the input and of the unit in it; -1: not known.
    """

    content: Any
    is_vector: bool
    text: str | None
    place: Place
    time: int | None = None
    meta: dict[str, Any] | None = None
    step_hash: bytes = b""
    input: int = -1
    unit: int = -1

    @property
    def hash(self) -> bytes:
        """16 bytes that tell it from others: of its text and what stands beside, or its bytes."""
        if self.text is not None:
            return hash_unit(self.text, self.time, self.meta)
        if self.step_hash:
            return self.step_hash
        if self.is_vector:
            return _short_hash(np.ascontiguousarray(self.content, "<f4").tobytes())
        path = os.fspath(self.content)
        with reading(path), open(open_regular(path), "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()[:HASH_BYTES]


Plan: TypeAlias = list[list[Piece]]  # one working memory, [B][W]


@dataclass(frozen=True)
class WorkingMemory:
    """The vectors of one working memory, and where each came from.

    Attributes:
        data: float32 [B, W, D].
        texts: [B][W]; None of images and vectors.
        places: source and offset [B][W].
        times: milliseconds since 1970 [B][W]; None where an input has none.
        meta: JSON objects [B][W]; None where an input has none.
        pieces: what they were made of [B][W]; [] if unknown.
    """

    data: Vectors
    texts: list[list[str | None]]
    places: list[list[Place]]
    times: list[list[int | None]]
    meta: list[list[dict[str, Any] | None]]
    pieces: list[list[Piece]] = field(default_factory=list)


@dataclass(frozen=True)
class InputSpec:
    """One input: units of it (``text``, ``literal``, ``image``, ``rows``) or whole ``steps``."""

    kind: Literal["text", "literal", "image", "rows", "steps"]
    name: str
    length: int = 0  # of an array's first axis, in the form [T, B, W, D] or [N, D]


def read_inputs(
    paths: Sequence[str | os.PathLike[str]],
    *,
    stdin: Any = None,
    text: Sequence[str] = (),
    unit: str | ReadOptions = "sentence",
    tell: Callable[[str], None] = lambda line: None,
) -> Iterator[InputItem]:
    """Everything named, in order: arrays whole, texts by ``unit``, images by path; then ``text``.

    ``stdin`` is the stream that ``-`` stands for (default: standard input). All paths are looked
    at before the first item comes.

    Raises:
        InputError: something is missing, empty, unknown or malformed.
        StorageError: the system refuses to read.
    """
    options = as_options(unit)
    names = _checked_names(paths, text)
    return _read(names, [classify(name) for name in names], stdin, text, options, tell)


def _read(
    names: Sequence[str],
    kinds: Sequence[Kind],
    stdin: Any,
    text: Sequence[str],
    options: ReadOptions,
    tell: Callable[[str], None],
) -> Iterator[InputItem]:
    for name, kind in zip(names, kinds, strict=True):
        if kind == "array":
            yield open_array(name)
        elif kind == "text":
            yield from read_texts(name, options, stdin=stdin, tell=tell)
        else:
            check_file(name)
            yield ImageInput(name)
    if text:
        yield from literal_texts(text, options)


class InputReader:
    """The inputs of a memory with B ``lanes`` and D ``dimension``, read as often as asked.

    Attributes:
        specs: the files of ``inputs`` in order, then the ``texts``.
        bad: a line for each record that was passed over, in order, each once.
        heard: takes the number of bytes of each read of a text.

    Raises:
        InputError: on construction, when something is missing, empty or unknown.
        ShapeError: an array does not fit the memory.
        StorageError: the system refuses to read.
    """

    def __init__(
        self,
        lanes: int,
        dimension: int,
        inputs: Sequence[str | os.PathLike[str]],
        texts: Sequence[str],
        stdin: Any,
        options: str | ReadOptions,
        may_be_none: bool = False,
        may_fail: Collection[str] = (),
    ) -> None:
        self.options = as_options(options)
        self.bad: dict[str, None] = {}
        self.heard: Callable[[int], None] = lambda size: None
        names = _checked_names(inputs, texts, may_be_none)
        self._lanes, self._dimension = lanes, dimension
        self._literals = list(literal_texts(texts, self.options)) if texts else []
        self._faults: dict[str, MemoriaError] = {}  # of inputs that may fail
        self.specs = [self._examine_kindly(name, name in may_fail) for name in names]
        self.specs += [InputSpec("literal", f"text:{number}") for number, _ in enumerate(texts, 1)]
        self._streams = {name: read_stream(name, stdin) for name in names if is_stream(name)}

    def pieces(self, spec: InputSpec) -> Iterator[Piece]:
        """The units of an input that is not of whole ``steps``, in order."""
        if spec.name in self._faults:
            raise self._faults[spec.name]
        if spec.kind == "image":
            yield Piece(Path(spec.name), False, None, (spec.name, 0))
        elif spec.kind == "rows":
            array = open_array(spec.name)
            step = max(1, _READ_BYTES // (4 * self._dimension))
            for start in range(0, spec.length, step):
                rows = array.rows(start, start + step)
                check_finite(rows, spec.name, start)
                for number, row in enumerate(rows, start):
                    yield Piece(row, True, None, (spec.name, number))
        else:
            yield from map(_piece, self._units(spec))

    def lines(self, spec: InputSpec, known: RecordLines) -> RecordLines:
        """The lines of a large file of records, those that are not ``known`` parsed.

        Raises:
            NoTextError: they hold no text; and what `pieces` raises.
        """
        from memoria.io.record_lines import scan_lines

        if spec.name in self._faults:
            raise self._faults[spec.name]
        found = scan_lines(spec.name, self.options, known, self._tell, self.heard)
        if not len(found.offsets):
            raise NoTextError(f"{spec.name}: holds no text")
        return found

    def pieces_of_lines(
        self, spec: InputSpec, lines: RecordLines, wanted: Sequence[int]
    ) -> Iterator[tuple[int, Piece]]:
        """Number and unit of the units of such a file that are ``wanted``, in order."""
        from memoria.io.record_lines import units_of_lines

        for number, unit in units_of_lines(spec.name, self.options, lines, wanted):
            yield number, _piece(unit)

    def steps(self, spec: InputSpec) -> Iterator[Plan]:
        """The working memories of an array [T, B, W, D]; an offset is the row within its lane."""
        array = open_array(spec.name)
        shape = array.shape
        if len(shape) == 3 and self._lanes > 1:
            slabs = iter([array.read()[None]])
        else:
            step = max(1, _READ_BYTES // (4 * math.prod(shape[1:])))
            starts = range(0, shape[0], step)
            slabs = (array.rows(start, start + step) for start in starts)
        width, step_number = shape[-2], 0
        for slab in slabs:
            check_finite(slab, spec.name, step_number)
            for data in slab.reshape(len(slab), self._lanes, width, self._dimension):
                first = step_number * width
                raw = np.ascontiguousarray(data, "<f4").tobytes()
                whole = hashlib.sha256(raw).digest()
                yield [
                    [
                        Piece(
                            content=row,
                            is_vector=True,
                            text=None,
                            place=(spec.name, first + number),
                            step_hash=_short_hash(whole + bytes(f"{lane} {number}", "ascii")),
                        )
                        for number, row in enumerate(rows)
                    ]
                    for lane, rows in enumerate(data)
                ]
                step_number += 1

    def _examine_kindly(self, name: str, may_fail: bool) -> InputSpec:
        """The input; the fault of one that may fail comes when it is read."""
        try:
            return self._examine(name)
        except (InputError, StorageError) as error:
            if not may_fail:
                raise
            self._faults[name] = error
            return InputSpec("text", name)

    def _examine(self, name: str) -> InputSpec:
        kind = classify(name)
        if kind != "array":
            if not is_stream(name):
                check_file(split_key(name)[0])
            return InputSpec(kind, name)
        shape = open_array(name).shape
        lanes, dimension = self._lanes, self._dimension
        if shape[-1:] == (dimension,):
            if len(shape) == 2:
                return InputSpec("rows", name, shape[0])
            if len(shape) == 3 and (lanes == 1 or shape[0] == lanes):
                return InputSpec("steps", name, shape[0] if lanes == 1 else 1)
            if len(shape) == 4 and shape[1] == lanes:
                return InputSpec("steps", name, shape[0])
        rows = f"[N, {dimension}]" if lanes == 1 else f"[N, {dimension}] for each lane"
        three = f"[T, W, {dimension}]" if lanes == 1 else f"[{lanes}, W, {dimension}]"
        expected = f"{three}, [T, {lanes}, W, {dimension}] or {rows}"
        hint = "the store's hidden_dim and lanes are the D and B of its arrays"
        raise ShapeError(name, expected, list(shape), hint)

    def _units(self, spec: InputSpec) -> Iterator[TextUnit]:
        if spec.kind == "literal":
            return (unit for unit in self._literals if unit.source == spec.name)
        streamed = self._streams.get(spec.name)
        stdin = None if streamed is None else io.BytesIO(streamed)
        name = spec.name if streamed is None else "-"
        return read_texts(name, self.options, stdin=stdin, tell=self._tell, heard=self.heard)

    def _tell(self, line: str) -> None:
        self.bad[line] = None


def _piece(unit: TextUnit) -> Piece:
    text, source, offset, time, meta = unit
    return Piece(flatten(text), False, text, (source, offset), time, meta)


def _short_hash(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:HASH_BYTES]


def _checked_names(
    paths: Sequence[str | os.PathLike[str]], texts: Sequence[str], may_be_none: bool = False
) -> list[str]:
    names = [os.fspath(path) for path in paths]
    if not names and not texts and not may_be_none:
        raise InputError("no input given", "name files, '-' for standard input, or a text")
    if names.count("-") > 1:
        raise InputError("'-' is given twice", "standard input can be read once")
    for name in names:
        check_name(name)
    return names


def check_finite(rows: Vectors, name: str, start: int) -> None:
    """Raise `InputError` naming the first index along axis 0 that holds NaN or Inf."""
    finite = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
    if not finite.all():
        at = start + int(np.argmin(finite))
        raise InputError(f"{name}: index {at} holds NaN or Inf", "remove or repair it")
