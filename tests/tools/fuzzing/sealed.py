"""A store taken apart into its root and its files, to be changed and closed again as if sound.

Only the specification is used: whoever forges a store can compute every checksum.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

ROOT = "zarr.json"
DTYPES = {"float32": "<f4", "float64": "<f8", "int64": "<i8", "int32": "<i4"}
DTYPES |= {"int8": "i1", "uint8": "u1"}


def crc(data: bytes) -> bytes:
    return int(google_crc32c.value(data)).to_bytes(4, "little")


@dataclass
class Sealed:
    """The root document and every other file by its name; `write` seals and writes them."""

    root: dict[str, Any]
    files: dict[str, bytes]

    @classmethod
    def of(cls, folder: Path) -> Sealed:
        files = {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name not in (".lock", ".lease")
        }
        return cls(json.loads(files.pop(ROOT)), files)

    def copy(self) -> Sealed:
        return Sealed(json.loads(json.dumps(self.root)), dict(self.files))

    @property
    def attributes(self) -> dict[str, Any]:
        """What the root says of the memory."""
        return self.root["attributes"]["memoria"]

    @property
    def metadata(self) -> dict[str, Any]:
        """The groups and arrays of the root."""
        return self.root["consolidated_metadata"]["metadata"]

    def arrays(self) -> list[str]:
        return sorted(n for n, m in self.metadata.items() if m["node_type"] == "array")

    def read(self, name: str) -> np.ndarray[Any, Any]:
        """The committed rows of an array."""
        document = self.metadata[name]
        rows, *rest = document["shape"]
        dtype = np.dtype(DTYPES[document["data_type"]])
        size, inner = _sizes(document, dtype)
        parts = []
        for index in range(-(-rows // size[0])):
            data = self.files[_file(name, index, rest)]
            if inner is None:
                parts.append(data[:-4])
            else:
                count = min(size[0], rows - index * size[0])
                length = inner * math.prod(rest) * dtype.itemsize
                for chunk in range(-(-count // inner)):
                    parts.append(data[chunk * (length + 4) :][:length])
        flat = np.frombuffer(b"".join(parts), dtype)
        return flat.reshape(-1, *rest)[:rows].copy()

    def put(self, name: str, values: np.ndarray[Any, Any]) -> None:
        """Write the array anew, with its row count in the root, and with sound checksums."""
        document = self.metadata[name]
        document["shape"] = [len(values), *document["shape"][1:]]
        rest = document["shape"][1:]
        dtype = np.dtype(DTYPES[document["data_type"]])
        size, inner = _sizes(document, dtype)
        for old in [n for n in self.files if n.startswith(f"{name}/c.")]:
            del self.files[old]
        for index in range(-(-len(values) // size[0])):
            part = values[index * size[0] :][: size[0]].astype(dtype)
            rows = np.zeros((size[0], *rest), dtype)
            rows[: len(part)] = part
            self.files[_file(name, index, rest)] = _encoded(rows, len(part), inner)

    def write(self, folder: Path, seal: bool = True) -> Path:
        """The store at ``folder``, with the root's checksum made anew."""
        for name, data in {**self.files, ROOT: self.sealed() if seal else _text(self.root)}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return folder

    def sealed(self) -> bytes:
        """The root's bytes with the right checksum."""
        return reseal(self.root)


def reseal(root: Any) -> bytes:
    """The canonical bytes of a root with its checksum, where it has a place for one."""
    ours = root.get("attributes") if isinstance(root, dict) else None
    ours = ours.get("memoria") if isinstance(ours, dict) else None
    if isinstance(ours, dict):
        ours.pop("checksum", None)
        ours["checksum"] = "crc32c:" + crc(_text(root))[::-1].hex()
    return _text(root)


def _text(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _sizes(document: Any, dtype: np.dtype[Any]) -> tuple[list[int], int | None]:
    shape = document["chunk_grid"]["configuration"]["chunk_shape"]
    codec = document["codecs"][0]
    sharded = codec["name"] == "sharding_indexed"
    return shape, codec["configuration"]["chunk_shape"][0] if sharded else None


def _file(name: str, index: int, rest: list[int]) -> str:
    return f"{name}/c.{index}" + ".0" * len(rest)


def _encoded(rows: np.ndarray[Any, Any], used: int, inner: int | None) -> bytes:
    if inner is None:
        return rows.tobytes() + crc(rows.tobytes())
    out, index = b"", np.full((len(rows) // inner, 2), 2**64 - 1, "<u8")
    for chunk in range(-(-used // inner)):
        data = rows[chunk * inner :][:inner].tobytes()
        index[chunk] = len(out), len(data) + 4
        out += data + crc(data)
    return out + index.tobytes() + crc(index.tobytes())
