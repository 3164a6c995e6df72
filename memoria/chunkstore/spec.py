"""What one array of a store looks like, as a value and as Zarr v3 metadata."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.errors import ConfigError

_DATA_TYPES: Final = {
    "f2": "float16",
    "f4": "float32",
    "f8": "float64",
    "i8": "int64",
    "i4": "int32",
    "i1": "int8",
    "u1": "uint8",
}
_DTYPES: Final = {name: dtype for dtype, name in _DATA_TYPES.items()}
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}(/[A-Za-z0-9_][A-Za-z0-9_-]{0,63}){0,7}")
_MAX_CHUNK_BYTES: Final = 2**30
_MAX_SHARD_BYTES: Final = 2**32
_MAX_ROWS: Final = 2**56
_MAX_DIM: Final = 2**40  # of one axis; the byte limits are the tighter ones

GROUP_METADATA: Final[Mapping[str, Any]] = {
    "attributes": {},
    "node_type": "group",
    "zarr_format": 3,
}


@dataclass(frozen=True)
class ArraySpec:
    """An array [rows, *row_shape] that grows along axis 0.

    ``name`` is its path inside the store (``"log/ids"``), ``dtype`` one of f2 f4 f8 i8 i4 i1 u1
    (little endian). A file holds ``chunk_rows`` rows, or, with ``shard_rows``, that many rows as
    inner chunks of ``chunk_rows`` each. Every chunk carries a crc32c. ``fill`` pads the last chunk
    and is a value that is illegal as data: NaN, -1, 255. A bad value raises `ConfigError`.
    """

    name: str
    dtype: str
    row_shape: tuple[int, ...]
    chunk_rows: int
    shard_rows: int | None
    fill: float | int
    dimension_names: tuple[str, ...] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise ConfigError(f"array name = {self.name!r}: use letters, digits, _ and - around /")
        if self.dtype not in _DATA_TYPES:
            raise ConfigError(f"{self.name}: dtype = {self.dtype!r}: use {' '.join(_DATA_TYPES)}")
        if not all(_is_count(size, _MAX_DIM) for size in (self.chunk_rows, *self.row_shape)):
            raise ConfigError(f"{self.name}: chunk {(self.chunk_rows, *self.row_shape)} is no size")
        if self.chunk_bytes > _MAX_CHUNK_BYTES:
            raise ConfigError(f"{self.name}: a chunk of {self.chunk_bytes} bytes is over 1 GiB")
        if self.shard_rows is not None and (
            not _is_count(self.shard_rows, _MAX_DIM) or self.shard_rows % self.chunk_rows
        ):
            raise ConfigError(
                f"{self.name}: shard_rows = {self.shard_rows!r}: not a multiple of chunk_rows"
            )
        if self.file_chunks * (self.chunk_bytes + 20) > _MAX_SHARD_BYTES:
            raise ConfigError(f"{self.name}: a shard of {self.file_rows} rows is over 4 GiB")
        self._check_fill()
        names = self.dimension_names
        if names is not None and len(names) != 1 + len(self.row_shape):
            raise ConfigError(f"{self.name}: dimension_names = {names!r}: one per axis")

    def _check_fill(self) -> None:
        if self.dtype.startswith("f"):
            if not math.isnan(self.fill):
                raise ConfigError(f"{self.name}: fill = {self.fill!r}: must be NaN for floats")
            object.__setattr__(self, "fill", math.nan)  # one NaN object, so that specs compare
        else:
            limits = np.iinfo(self.np_dtype)
            if type(self.fill) is not int or not limits.min <= self.fill <= limits.max:
                raise ConfigError(f"{self.name}: fill = {self.fill!r}: not of type {self.dtype}")

    @cached_property
    def np_dtype(self) -> np.dtype[Any]:
        """The little-endian NumPy type."""
        return np.dtype("<" + self.dtype)

    @cached_property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return math.prod(self.row_shape) * int(self.dtype[1])

    @cached_property
    def chunk_bytes(self) -> int:
        """Bytes of one (inner) chunk, without its checksum."""
        return self.row_bytes * self.chunk_rows

    @cached_property
    def file_rows(self) -> int:
        """Rows that one file holds."""
        return self.shard_rows or self.chunk_rows

    @cached_property
    def file_chunks(self) -> int:
        """Chunks that one file holds: 1 without sharding."""
        return self.file_rows // self.chunk_rows

    @property
    def parent(self) -> str:
        """The group that holds the array; ``""`` is the root."""
        return self.name.rpartition("/")[0]

    def file_name(self, index: int) -> str:
        """Name, inside the array's directory, of the file with rows from ``index * file_rows``."""
        return f"c.{index}" + ".0" * len(self.row_shape)

    def file_count(self, rows: int) -> int:
        """Files that ``rows`` rows need."""
        return -(-rows // self.file_rows)

    def empty(self, rows: int) -> npt.NDArray[Any]:
        """Room for ``rows`` rows, not initialised."""
        return np.empty((rows, *self.row_shape), self.np_dtype)

    def metadata_text(self, rows: int) -> str:
        """`metadata` as canonical JSON."""
        before, after = self._around_rows
        return f"{before}{rows}{after}"

    @cached_property
    def _around_rows(self) -> tuple[str, str]:
        """The text before and after the number of rows: all else stays as it is."""
        document = self.metadata(0)
        first = {key: value for key, value in document.items() if key < "shape"}
        last = {key: value for key, value in document.items() if key > "shape"}
        rest = "".join(f",{size}" for size in self.row_shape)
        return f'{canonical(first)[:-1]},"shape":[', f"{rest}],{canonical(last)[1:]}"

    def metadata(self, rows: int) -> dict[str, Any]:
        """The Zarr v3 array metadata (the array's ``zarr.json``) at ``rows`` rows."""
        pair = [_bytes_codec(self.dtype), {"name": "crc32c"}]
        codecs: list[dict[str, Any]] = pair
        if self.shard_rows is not None:
            configuration = {
                "chunk_shape": [self.chunk_rows, *self.row_shape],
                "codecs": pair,
                "index_codecs": [_bytes_codec("i8"), {"name": "crc32c"}],
                "index_location": "end",
            }
            codecs = [{"name": "sharding_indexed", "configuration": configuration}]
        document: dict[str, Any] = {
            "attributes": dict(self.attributes),
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": [self.file_rows, *self.row_shape]},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "codecs": codecs,
            "data_type": _DATA_TYPES[self.dtype],
            "fill_value": "NaN" if self.dtype.startswith("f") else self.fill,
            "node_type": "array",
            "shape": [rows, *self.row_shape],
            "storage_transformers": [],
            "zarr_format": 3,
        }
        if self.dimension_names is not None:
            document["dimension_names"] = list(self.dimension_names)
        return document


def parse_array(name: str, document: Any) -> tuple[ArraySpec, int]:
    """The spec and the row count that array metadata describes.

    Only what `ArraySpec.metadata` writes is understood; anything else raises `ValueError`.
    """
    try:
        rows, *row_shape = document["shape"]
        shape = document["chunk_grid"]["configuration"]["chunk_shape"]
        codec = document["codecs"][0]
        sharded = codec["name"] == "sharding_indexed"
        chunk = codec["configuration"]["chunk_shape"] if sharded else shape
        floating = str(document["data_type"]).startswith("float")
        dimension_names = document.get("dimension_names")
        spec = ArraySpec(
            name=name,
            dtype=_DTYPES[document["data_type"]],
            row_shape=tuple(row_shape),
            chunk_rows=chunk[0],
            shard_rows=shape[0] if sharded else None,
            fill=math.nan if floating else document["fill_value"],
            dimension_names=None if dimension_names is None else tuple(dimension_names),
            attributes=dict(document["attributes"]),
        )
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"not an array of this format ({error!r})") from None
    if type(rows) is not int or not 0 <= rows <= _MAX_ROWS:
        raise ValueError(f"{rows!r} rows")
    if spec.metadata(rows) != document:
        raise ValueError("not an array of this format")
    return spec, rows


def canonical(value: Any) -> str:
    """JSON with sorted keys, no spaces, and none of NaN and Infinity (`ValueError`)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def metadata_bytes(document: Mapping[str, Any]) -> bytes:
    """What the ``zarr.json`` of a group or an array holds."""
    return json.dumps(document, sort_keys=True, indent=2).encode()


def check_names(specs: Mapping[str, ArraySpec]) -> None:
    """Raise `ConfigError` where one array would lie inside another."""
    for name in specs:
        for group in parent_groups([name]):
            if group in specs:
                raise ConfigError(f"array {name!r} lies inside the array {group!r}")


def parent_groups(names: Iterable[str]) -> list[str]:
    """Every group above the arrays ``names``, without the root, parents first."""
    groups: set[str] = set()
    for name in names:
        parts = name.split("/")[:-1]
        groups.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    return sorted(groups)


def empty_group() -> dict[str, Any]:
    """Metadata of a group as it stands inside consolidated metadata."""
    consolidated = {"kind": "inline", "must_understand": False, "metadata": {}}
    return {**GROUP_METADATA, "consolidated_metadata": consolidated}


def _bytes_codec(dtype: str) -> dict[str, Any]:
    if dtype in ("u1", "i1"):  # one byte has no order
        return {"name": "bytes"}
    return {"name": "bytes", "configuration": {"endian": "little"}}


def _is_count(value: Any, limit: int) -> bool:
    return type(value) is int and 1 <= value <= limit
