"""Input files of strangers: malformed ones, traps, and good ones that were changed.

``BOMBS`` makes each in a folder; `PWNED` is the file that a trap makes if its code is run.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PWNED = "pwned"
Maker = Callable[[Path], str]


class Trap:
    """Unpickling one runs a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {PWNED}",)


def npy(header: str | bytes, body: bytes = b"", version: int = 1) -> bytes:
    """A .npy file with any header."""
    text = header.encode() if isinstance(header, str) else header
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text + body


def described(descr: str = "'<f4'", shape: str = "(2, 8)", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


def wrote(name: str, data: bytes | Callable[[], bytes]) -> Maker:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(data if isinstance(data, bytes) else data())
        return name

    return make


def zipped(name: str, *members: tuple[str, bytes], packed: bool = True) -> Maker:
    def make(folder: Path) -> str:
        kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
        with zipfile.ZipFile(folder / name, "w", kind) as archive:
            for member, data in members:
                archive.writestr(member, data)
        return name

    return make


def safetensors(header: Any, body: bytes = bytes(64), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(shape: Any = (2, 8), offsets: Any = (0, 64), dtype: Any = "F32") -> dict[str, Any]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


def torch_file(name: str, pickled: bytes, packed: bool = False, data: bytes = bytes(64)) -> Maker:
    members = [("a/data.pkl", pickled), ("a/byteorder", b"little"), ("a/version", b"3\n")]
    return zipped(name, *members, ("a/data/0", data), packed=packed)


def saved(name: str, make: Callable[[Any], Any]) -> Maker:
    def write(folder: Path) -> str:
        import torch

        torch.save(make(torch), folder / name, _use_new_zipfile_serialization="old" not in name)
        return name

    return write


def legacy_tar(folder: Path) -> str:
    import tarfile

    with tarfile.open(folder / "tar.pt", "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            data = pickle.dumps(Trap(), protocol=2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return "tar.pt"


def zarr_3(name: str, chunk: bytes | None = None, **changes: Any) -> Maker:
    def make(folder: Path) -> str:
        place = folder / name
        place.mkdir()
        document: dict[str, Any] = {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [2, 8],
            "data_type": "float32",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 8]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "fill_value": 0.0,
            "attributes": {},
        }
        document |= changes
        if "chunks" in changes:
            document["chunk_grid"]["configuration"]["chunk_shape"] = document.pop("chunks")
        (place / "zarr.json").write_text(json.dumps(document))
        if chunk is not None:
            (place / "c.0.0").write_bytes(chunk)
        return name

    return make


def zarr_2(name: str, chunk: bytes, **changes: Any) -> Maker:
    def make(folder: Path) -> str:
        place = folder / name
        place.mkdir()
        document = {
            "zarr_format": 2,
            "shape": [2, 8],
            "chunks": [2, 8],
            "dtype": "<f4",
            "compressor": None,
            "filters": None,
            "fill_value": 0,
            "order": "C",
        }
        (place / ".zarray").write_text(json.dumps(document | changes))
        (place / "0.0").write_bytes(chunk)
        return name

    return make


def deep_zarr(folder: Path) -> str:
    zarr_3("deep.zarr", bytes(64))(folder)
    (folder / "deep.zarr" / "zarr.json").write_text("[" * 100_000)
    return "deep.zarr"


def _packer(name: str) -> list[dict[str, Any]]:
    more = {"checksum": False} if name == "zstd" else {}
    plain = {"name": "bytes", "configuration": {"endian": "little"}}
    return [plain, {"name": name, "configuration": {"level": 1, **more}}]


def special(name: str, make: Callable[[str], Any]) -> Maker:
    def place(folder: Path) -> str:
        make(str(folder / name))
        return name

    return place


def make_socket(path: str) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path)


def png(width: int, height: int) -> bytes:
    """A picture that claims a size; its content is a few bytes."""
    import zlib

    def part(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    content = zlib.compress(bytes(1 << 20))
    parts = part(b"IHDR", head) + part(b"IDAT", content) + part(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


_DEEP = "[" * 100_000

BOMBS: dict[str, Maker] = {
    "npy 2^60 rows": wrote("a.npy", npy(described(shape=f"({2**60}, 8)"))),
    "npy product overflows": wrote("a.npy", npy(described(shape=f"({2**40}, {2**40})"))),
    "npy negative": wrote("a.npy", npy(described(shape="(-1, 8)"), bytes(99))),
    "npy no numbers in its shape": wrote("a.npy", npy(described(shape="(2.5, 'x')"), bytes(99))),
    "npy true shape": wrote("a.npy", npy(described(shape="(True, 8)"), bytes(99))),
    "npy many axes": wrote("a.npy", npy(described(shape=f"({'1, ' * 99})"), bytes(99))),
    "npy huge number": wrote("a.npy", npy(described(shape=f"({'9' * 5000}, 8)"))),
    "npy objects": wrote("a.npy", npy(described("'|O'"), pickle.dumps(Trap()))),
    "npy objects in fields": wrote("a.npy", npy(described("[('a', '|O')]"), pickle.dumps(Trap()))),
    "npy code": wrote("a.npy", npy(f"__import__('os').system('touch {PWNED}')")),
    "npy deep": wrote("a.npy", npy("(" * 5000 + ")" * 5000)),
    "npy long header": wrote("a.npy", npy(b"", version=2)[:8] + b"\xff\xff\xff\xff" + bytes(99)),
    "npy header of another": wrote("a.npy", npy(b"{}", bytes(64))),
    "npy strings": wrote("a.npy", npy(described("'<U8'"), bytes(2048))),
    "npy nothing": wrote("a.npy", npy(described("'|S0'"), bytes(64))),
    "npy escapes": wrote("a.npy", npy("{'\x1b]0;x\x07\x9b2J': 1}")),
    "npz objects": zipped("a.npz", ("x.npy", npy(described("'|O'"), pickle.dumps(Trap())))),
    "npz outside": zipped("a.npz", ("../../x.npy", npy(described(), bytes(64)))),
    "npz absolute": zipped("a.npz", ("/etc/x.npy", npy(described(), bytes(64)))),
    "npz escapes": zipped("a.npz", ("\x1b]0;x\x07.npy", b"?"), ("[link=x]y.npy", b"?")),
    "npz pickled": wrote("a.npz", pickle.dumps(Trap())),
    "npz empty": zipped("a.npz"),
    "safetensors length 2^60": wrote("a.safetensors", safetensors(tensor(), length=2**60)),
    "safetensors length": wrote("a.safetensors", safetensors(tensor(), length=2**63 + 5)),
    "safetensors deep": wrote("a.safetensors", safetensors(_DEEP.encode())),
    "safetensors huge": wrote("a.safetensors", safetensors(tensor((2**60, 8), (0, 2**65)))),
    "safetensors overlapping": wrote(
        "a.safetensors", safetensors({**tensor(), "y": tensor()["x"]})
    ),
    "safetensors backwards": wrote("a.safetensors", safetensors(tensor(offsets=(64, 0)))),
    "safetensors negative": wrote("a.safetensors", safetensors(tensor((-2, -8), (0, 64)))),
    "safetensors floats": wrote("a.safetensors", safetensors(tensor((2.0, 8), (0, 64.0)))),
    "safetensors dtype": wrote("a.safetensors", safetensors(tensor(dtype="\x1b[31mF32"))),
    "safetensors dtype list": wrote("a.safetensors", safetensors(tensor(dtype=["F32"]))),
    "safetensors axes": wrote("a.safetensors", safetensors(tensor((1,) * 99 + (16,)))),
    "safetensors list": wrote("a.safetensors", safetensors([1, 2])),
    "safetensors names": wrote("a.safetensors", safetensors({"x": None, "y": 5, "z": []})),
    "pt trap": torch_file("a.pt", pickle.dumps(Trap(), protocol=2)),
    "pt trap of a new protocol": torch_file("a.pt", pickle.dumps(Trap(), protocol=5)),
    "pt trap saved": saved("a.pt", lambda torch: Trap()),
    "pt trap in a dict": saved("a.pt", lambda torch: {"x": torch.ones(2, 8), "y": Trap()}),
    "pt trap saved as of old": saved("old.pt", lambda torch: Trap()),
    "pt tensor saved as of old": saved("old.pt", lambda torch: torch.ones(2, 8)),
    "pt pickle": wrote("a.pt", pickle.dumps(Trap())),
    "pt tar": legacy_tar,
    "pt nested zip": zipped("a.pt", ("a.pt", pickle.dumps(Trap())), packed=False),
    "pt script": zipped("a.pt", ("a/constants.pkl", b"."), ("a/data.pkl", b"."), packed=False),
    "pt nothing": zipped("a.pt", packed=False),
    "pt module": saved("a.pt", lambda torch: torch.nn.Linear(2, 2)),
    "zarr a large chunk of nothing": zarr_3("a.zarr", shape=[8, 8], chunks=[2**40, 8]),
    "zarr negative": zarr_3("a.zarr", shape=[-1, 8]),
    "zarr codec": zarr_3("a.zarr", bytes(64), codecs=[{"name": "\x1b[31m", "configuration": {}}]),
    "zarr pickled": zarr_3("a.zarr", bytes(64), codecs=[{"name": "numcodecs.pickle"}]),
    "zarr class": zarr_3("a.zarr", bytes(64), codecs=[{"name": "os.system"}]),
    "zarr no gzip": zarr_3("a.zarr", bytes(64), codecs=_packer("gzip")),
    "zarr zstd": zarr_3("a.zarr", b"", codecs=_packer("zstd")),
    "zarr deep": deep_zarr,
    "zarr 2 pickles": zarr_2("a.zarr", pickle.dumps(Trap()), filters=[{"id": "pickle"}]),
    "zarr 2 packed pickle": zarr_2("a.zarr", pickle.dumps(Trap()), compressor={"id": "pickle"}),
    "zarr 2 objects": zarr_2(
        "a.zarr", pickle.dumps(Trap()), dtype="|O", filters=[{"id": "pickle"}], fill_value=None
    ),
    "zarr 2 blosc": zarr_2("a.zarr", bytes(64), compressor={"id": "blosc"}),
    "zarr 2 outside": zarr_2("a.zarr", bytes(64), dimension_separator="/../"),
    "jsonl deep": wrote("a.jsonl", _DEEP.encode()),
    "jsonl deep object": wrote("a.jsonl", b'{"text":' * 100_000),
    "jsonl lists": wrote("a.jsonl", lambda: b'{"text":[' + b"[]," * 1_000_000 + b"[]]}"),
    "jsonl one line": wrote("a.jsonl", lambda: b'{"text":"' + b"a" * (1 << 25) + b'"}'),
    "jsonl digits": wrote("a.jsonl", b'{"text": ' + b"9" * 5000 + b"}"),
    "jsonl NaN": wrote("a.jsonl", b'{"text": NaN}\n{"text": 1e999}\n'),
    "jsonl surrogate": wrote("a.jsonl", b'{"text": "\\ud800"}'),
    "jsonl other": wrote("a.jsonl", b'["text"]\n'),
    "jsonl escapes": wrote("a.jsonl", b'{"\\u001b]0;x\\u0007": 1}'),
    "text without end": wrote("a.txt", b"\0" * 1000),
    "text not UTF-8": wrote("a.txt", b"some words. \xff\xfe more."),
    "text of surrogates": wrote("a.txt", b"\xed\xa0\x80"),
    "text of a mark": wrote("a.txt", b"\xef\xbb\xbf"),
    "text of spaces": wrote("a.txt", b" \n" * 1000),
    "text escapes": wrote("a.txt", "A \x1b]0;title\x07 \x9b2J \u202etxet. [link=x]y[/]".encode()),
    "text of one word": wrote("a.txt", b"a" * 100_000),
    "text of marks": wrote("a.txt", b"." * 100_000),
    "fifo": special("a.npy", os.mkfifo),
    "fifo of text": special("a.txt", os.mkfifo),
    "socket": special("a.npz", make_socket),
    "folder": special("a.npy", os.mkdir),
    "device": special("a.txt", lambda path: os.symlink("/dev/zero", path)),
    "device of arrays": special("a.npy", lambda path: os.symlink("/dev/zero", path)),
    "dangling": special("a.npy", lambda path: os.symlink("nowhere", path)),
    "loop": special("a.npy", lambda path: os.symlink("a.npy", path)),
    "picture too large": wrote("a.png", lambda: png(60_000, 60_000)),
    "picture torn": wrote("a.png", lambda: png(64, 64)[:60]),
}


def good(folder: Path) -> list[str]:
    """A sound file of each kind, of arrays [2, 8]."""
    import torch
    import zarr

    data = np.random.default_rng(0).random((2, 8), dtype=np.float32)
    np.save(folder / "good.npy", data)
    np.savez_compressed(folder / "good.npz", x=data, y=data)
    torch.save({"x": torch.from_numpy(data), "y": torch.ones(3)}, folder / "good.pt")
    (folder / "good.safetensors").write_bytes(safetensors(tensor(), data.tobytes()))
    (folder / "good.jsonl").write_text('{"text": "a cat"}\n{"text": "a dog", "n": [1, {}]}\n')
    (folder / "good.txt").write_text("A cat sat. A dog ran.\n\nIt rained.\n")
    zarr.create_array(folder / "good.zarr", data=data, chunks=(1, 4), shards=(2, 8))
    names = ("npy", "npz", "pt", "safetensors", "jsonl", "txt", "zarr")
    return [f"good.{name}" for name in names]


def change(path: Path, rng: random.Random) -> None:
    """Bytes of a file, or of one in a folder, are changed, cut out or doubled."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    file = rng.choice(files)
    data = bytearray(file.read_bytes())
    for _ in range(rng.choice((1, 1, 2, 5, 30))):
        at = rng.randrange(len(data) + 1)
        kind = rng.choice(("byte", "byte", "bit", "cut", "double", "word", "end"))
        if kind == "byte" and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == "bit" and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del data[at : at + rng.choice((1, 4, 64))]
        elif kind == "double":
            data[at:at] = data[at : at + rng.choice((1, 4, 64))]
        elif kind == "word":
            word = rng.choice(
                (b"\xff" * 4, b"\0" * 8, b"\x7f" + b"\xff" * 7, b"9" * 20, b"[", b"-")
            )
            data[at : at + len(word)] = word
        elif kind == "end":
            del data[at:]
    file.write_bytes(data)
