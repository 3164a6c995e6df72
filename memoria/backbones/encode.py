"""Inputs to vectors on disk, in batches: what ``memoria encode`` does."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from memoria.backbones.base import Backbone, Vectors
from memoria.errors import InputError, ShapeError, UsageError
from memoria.io.arrays import ArraySource, open_array
from memoria.io.files import (
    check_file,
    classify,
    extension,
    is_stream,
    read_head,
    split_key,
)
from memoria.io.forms.table import is_image
from memoria.io.inputs import ImageInput, InputItem, check_finite, read_inputs
from memoria.io.outputs import RowWriter, check_output, open_rows
from memoria.io.progress import Progress, progress_bar
from memoria.io.read_options import as_options
from memoria.io.text_unit import TextUnit
from memoria.io.texts import read_texts
from memoria.io.units import flatten

_CHECKED_BYTES: Final = 1 << 26  # of texts that are read before they are encoded
_READ_BYTES: Final = 1 << 24  # of an array, read from a file at a time


@dataclass(frozen=True, slots=True)
class EncodeResult:
    """What was written: ``rows`` vectors of ``dimension`` numbers, from ``items`` inputs."""

    rows: int
    items: int
    dimension: int
    path: Path
    notices: list[str]


def encode_inputs(
    paths: Sequence[str | os.PathLike[str]],
    backbone: Backbone,
    out: str | os.PathLike[str],
    *,
    unit: str = "sentence",
    batch_size: int = 64,
    progress: Progress | bool = False,
    overwrite: bool = False,
    stdin: Any = None,
    text: Sequence[str] = (),
    batches: tuple[int, int] | None = None,
) -> EncodeResult:
    """Write the vectors of all inputs, in order, to ``out`` (.zarr, .npy or .safetensors).

    Works in batches, so memory does not grow with the input. An item is a text's unit, an image,
    or a row of an array (all axes but the last are rows). Texts are kept in a .zarr output.
    ``batches`` (first, end) are those that are written, by default all.
    ``progress(items, total)`` is called after each batch, with total 0 while it is unknown; True
    shows a bar.
    An error or interruption leaves nothing at ``out``. Raises what reading, encoding and
    writing raise, and `StoreExistsError` when ``out`` exists and ``overwrite`` is off.
    """
    if batch_size < 1:
        raise UsageError(f"batch_size = {batch_size}: must be 1 or more")
    check_output(out, overwrite, streamed=True)
    total = _total(paths, _check_kinds(paths, text))
    first, end = 0, None
    if batches is not None:
        first, end = batches[0] * batch_size, batches[1] * batch_size
        total = min(end, total or end) - first
    inputs = read_inputs(paths, stdin=stdin, text=text, unit=unit)
    done = rows = dimension = 0
    with ExitStack() as stack:
        show = stack.enter_context(progress_bar(progress, "encoding", "items"))
        writer: RowWriter | None = None
        for items, vectors in encode_batches(inputs, backbone, batch_size, first, end):
            joined = np.concatenate(vectors)
            if writer is None:
                dimension = joined.shape[1]
                writer = stack.enter_context(open_rows(out, dimension, overwrite))
            texts = [item.text for item in items if isinstance(item, TextUnit)]
            writer.append(joined, texts or None, [len(one) for one in vectors])
            done, rows = done + len(vectors), rows + len(joined)
            show(done, total)
        if writer is None:
            raise InputError("the inputs hold nothing to encode")
    return EncodeResult(rows, done, dimension, Path(out), backbone.notices())


def check_inputs(
    paths: Sequence[str | os.PathLike[str]], *, text: Sequence[str] = (), unit: str = "sentence"
) -> None:
    """Look at all inputs of `encode_inputs`, so that faulty ones are told before a model loads.

    Texts are read, but for standard input and beyond 64 MiB of them; arrays are opened, and images
    have to begin as images do.

    Raises:
        InputError: an input is missing, of another kind than the others, or faulty.
        StorageError: the system refuses to read.
    """
    kinds = _check_kinds(paths, text)
    options = as_options(unit)
    left = _CHECKED_BYTES
    width = 0
    for path in [os.fspath(one) for one in paths]:
        if is_stream(path):
            continue
        if kinds == {"array"}:
            shape = open_array(path).shape
            width = width or (shape[-1] if shape else 1)
            if shape and shape[-1] != width:
                raise ShapeError(path, f"[N, {width}]", list(shape))
            continue
        left -= check_file(split_key(path)[0])
        if kinds == {"image"} and not _begins_as_image(path):
            raise InputError(f"{path}: not a readable image: it begins as none does")
        if kinds == {"text"} and left >= 0:
            for _ in read_texts(path, options):
                pass


def count_items(
    paths: Sequence[str | os.PathLike[str]], *, text: Sequence[str] = (), unit: str = "sentence"
) -> int:
    """How many items `encode_inputs` finds in the inputs, whose arguments and errors these are."""
    known = _total(paths, _check_kinds(paths, text))
    return known or sum(1 for _ in _items(read_inputs(paths, text=text, unit=unit)))


def encode_batches(
    inputs: Iterable[InputItem],
    backbone: Backbone,
    batch_size: int = 64,
    first: int = 0,
    end: int | None = None,
) -> Iterator[tuple[list[TextUnit | ImageInput | Vectors], list[Vectors]]]:
    """Batches of items with the rows [n, D] of each; wrapped lines of texts are joined first.

    Of an array, the rows themselves are the items. A batch holds one kind only. Items before
    number ``first`` and from ``end`` on are passed over.
    """
    width = backbone.dimension if backbone.name == "array" else 0
    taken = itertools.islice(_items(inputs, width), first, end)
    for kind, items in itertools.groupby(taken, key=type):
        while batch := list(itertools.islice(items, batch_size)):
            if kind is TextUnit:
                contents: Any = [flatten(item.text) for item in batch]
            elif kind is ImageInput:
                contents = [item.path for item in batch]
            else:
                contents = np.stack(batch)
            yield batch, backbone.encode_rows(contents)


def _check_kinds(paths: Sequence[str | os.PathLike[str]], text: Sequence[str]) -> set[str]:
    """The kinds of the inputs; raises `InputError` if there are several."""
    kinds = {str(classify(path)) for path in paths} | ({"text"} if text else set())
    if len(kinds) > 1:
        raise InputError(
            f"the inputs mix {' and '.join(sorted(kinds))}", "encode one kind at a time"
        )
    return kinds


def _items(inputs: Iterable[InputItem], width: int = 0) -> Iterator[Any]:
    """Items one by one; rows of arrays are ``width`` wide, or as wide as the first if it is 0."""
    for item in inputs:
        if not isinstance(item, ArraySource):
            yield item
            continue
        own = item.shape[-1] if item.shape else 1  # a single number is a row too
        width = width or own
        if own != width:
            raise ShapeError(item.source, f"[N, {width}]", list(item.shape))
        yield from _array_rows(item)


def _array_rows(source: ArraySource) -> Iterator[Vectors]:
    """The rows of an array of any shape; [D] is one row."""
    if len(source.shape) < 2:
        row = source.read().reshape(1, -1)
        check_finite(row, source.source, 0)
        yield from row
        return
    step = max(1, _READ_BYTES // (4 * math.prod(source.shape[1:])))
    for start in range(0, source.shape[0], step):
        rows = source.rows(start, start + step)
        check_finite(rows, source.source, start)
        yield from rows.reshape(-1, source.shape[-1])


def _total(paths: Sequence[str | os.PathLike[str]], kinds: set[str]) -> int:
    """How many items there will be; 0 where the data must be read to know."""
    if kinds == {"image"}:
        return len(paths)
    total = 0
    for path in paths:
        if extension(split_key(os.fspath(path))[0]) not in (".npy", ".safetensors", ".zarr"):
            return 0
        total += math.prod(open_array(path).shape[:-1])
    return total


def _begins_as_image(path: str) -> bool:
    head = read_head(path)
    return is_image(head) or (extension(path) == ".bmp" and head.startswith(b"BM"))
