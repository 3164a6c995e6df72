"""Inputs from outside: arrays, texts and images, named as on the command line.

``file.npz:key`` names one array of a file that holds several, ``file.jsonl:field`` the field of
its records that holds the text, ``-`` is standard input. Nothing here imports torch unless a
``.pt`` file is read, and nothing is ever unpickled.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from memoria.errors import InputError
from memoria.io.inputs.arrays import ArraySource, open_array, read_array
from memoria.io.inputs.files import Kind, check_file, classify
from memoria.io.inputs.texts import TextUnit, literal_texts, read_texts
from memoria.io.units import parse_unit

__all__ = [
    "ArraySource",
    "ImageInput",
    "Input",
    "Kind",
    "TextUnit",
    "classify",
    "literal_texts",
    "open_array",
    "read_array",
    "read_inputs",
    "read_texts",
]


@dataclass(frozen=True, slots=True)
class ImageInput:
    """The path of an image file; the backbone opens it."""

    path: str


Input: TypeAlias = ArraySource | TextUnit | ImageInput


def read_inputs(
    paths: Sequence[str | os.PathLike[str]],
    *,
    stdin: Any = None,
    text: Sequence[str] = (),
    unit: str = "sentence",
) -> Iterator[Input]:
    """Everything named, in order: arrays whole, texts by ``unit``, images by path; then ``text``.

    ``stdin`` is the stream that ``-`` stands for (default: standard input). All paths are looked
    at before the first item comes. Raises `InputError` for what is missing, empty, unknown or
    malformed, `StorageError` where the system refuses to read.
    """
    parse_unit(unit)
    specs = [os.fspath(path) for path in paths]
    if not specs and not text:
        raise InputError("no input given", "name files, '-' for standard input, or a text")
    if specs.count("-") > 1:
        raise InputError("'-' is given twice", "standard input can be read once")
    kinds = [classify(spec) for spec in specs]
    return _read(specs, kinds, stdin, text, unit)


def _read(
    specs: Sequence[str], kinds: Sequence[Kind], stdin: Any, text: Sequence[str], unit: str
) -> Iterator[Input]:
    for spec, kind in zip(specs, kinds, strict=True):
        if kind == "array":
            yield open_array(spec)
        elif kind == "text":
            yield from read_texts(spec, unit, stdin=stdin)
        else:
            check_file(spec)
            yield ImageInput(spec)
    if text:
        yield from literal_texts(text, unit)
