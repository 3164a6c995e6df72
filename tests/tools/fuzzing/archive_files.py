"""Zip files as a stranger would make them: every field of every record can be a lie.

``TABLE`` makes each from the members of a sound archive; checksums are right unless they lie too.
"""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fuzzing.sealed import Sealed

LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
END_64 = struct.Struct("<4sQ2H2L4Q")
PLACE_64 = struct.Struct("<4sLQL")
LOCAL_FIELDS = ("sign", "needed", "flags", "method", "time", "date", "crc", "packed", "plain")
LOCAL_FIELDS += ("names", "extras")
CENTRAL_FIELDS = ("sign", "made", "needed", "flags", "method", "time", "date", "crc", "packed")
CENTRAL_FIELDS += ("plain", "names", "extras", "comments", "disk", "internal", "external", "header")
END_FIELDS = ("sign", "disk", "first", "here", "count", "size", "start", "comment")
FULL, HALF = 2**32 - 1, 2**16 - 1

Lies = dict[str, int]


@dataclass
class Member:
    """A file of the archive; ``local`` and ``central`` say what its records lie about."""

    name: bytes
    data: bytes = b""
    hole: int = 0  # zeros behind the data, which take no room on the disk
    local: Lies = field(default_factory=dict)
    central: Lies = field(default_factory=dict)
    extra: bytes = b""
    comment: bytes = b""
    local_name: bytes | None = None
    deflated: bool = False

    @property
    def stored(self) -> bytes:
        if not self.deflated:
            return self.data
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.data) + packer.flush()


@dataclass
class Zip:
    """A whole archive: what stands in it, and what its end says."""

    members: list[Member]
    end: Lies = field(default_factory=dict)
    wide: Lies | None = None  # of the zip64 end, if there is one
    before: bytes = b""
    tail: bytes = b""
    comment: bytes = b""
    spoil: Callable[[bytearray], None] | None = None

    def write(self, path: Path) -> None:
        with open(path, "wb") as out:
            out.write(self.before)
            directory = [self._member(out, one) for one in self.members]
            start = out.tell()
            out.writelines(directory)
            self._finish(out, start, len(directory))
        if self.spoil is not None:
            raw = bytearray(path.read_bytes())
            self.spoil(raw)
            path.write_bytes(raw)

    def _member(self, out: object, one: Member) -> bytes:
        """Write the member; its record of the directory."""
        at, stored = out.tell(), one.stored  # type: ignore[attr-defined]
        name = one.name if one.local_name is None else one.local_name
        packed, plain = len(stored) + one.hole, len(one.data) + one.hole
        values = {
            "needed": 20,
            "made": 3 << 8 | 20,
            "method": 8 if one.deflated else 0,
            "date": 33,
            "crc": zlib.crc32(one.data),
            "packed": min(packed, FULL),
            "plain": min(plain, FULL),
            "external": 0 if one.name.endswith(b"/") else 0o100644 << 16,
            "header": min(at, FULL),
        }
        local = values | {"names": len(name)} | one.local
        out.write(LOCAL.pack(b"PK\3\4", *_of(LOCAL_FIELDS, local)) + name + stored)  # type: ignore[attr-defined]
        if one.hole:
            out.seek(one.hole, os.SEEK_CUR)  # type: ignore[attr-defined]
        wide = [n for n in (plain, packed, at) if n >= FULL]
        extra = one.extra + (
            struct.pack(f"<2H{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
        )
        central = values | {"names": len(one.name), "extras": len(extra)}
        central |= {"comments": len(one.comment)} | one.central
        record = CENTRAL.pack(b"PK\1\2", *_of(CENTRAL_FIELDS, central))
        return record + one.name + extra + one.comment

    def _finish(self, out: object, start: int, count: int) -> None:
        here = out.tell()  # type: ignore[attr-defined]
        size = here - start
        parts = b""
        if self.wide is not None or start >= FULL or count >= HALF:
            told = {"length": 44, "count": count, "size": size, "start": start} | (self.wide or {})
            told.setdefault("here", told["count"])
            fields = ("length", "made", "needed", "disk", "first", "here", "count", "size", "start")
            parts = END_64.pack(b"PK\6\6", *_of(fields, told))
            parts += PLACE_64.pack(b"PK\6\7", 0, told.get("place", here), told.get("disks", 1))
            end = {"here": HALF, "count": HALF, "size": FULL, "start": FULL}
        else:
            end = {"here": count, "count": count, "size": size, "start": start}
        end |= {"comment": len(self.comment)} | self.end
        parts += END.pack(b"PK\5\6", *_of(END_FIELDS, end)) + self.comment + self.tail
        out.write(parts)  # type: ignore[attr-defined]


def _of(names: tuple[str, ...], values: Lies) -> list[int]:
    return [values.get(name, 0) for name in names if name != "sign"]


def members(store: Sealed | Path) -> list[Member]:
    """Those of a sound archive of the store."""
    if isinstance(store, Sealed):
        files = {**store.files, "zarr.json": store.sealed()}
        return [Member(name.encode(), data) for name, data in sorted(files.items())]
    found = [path for path in sorted(store.rglob("*")) if path.is_file() and not path.is_symlink()]
    return [Member(os.fsencode(path.relative_to(store)), path.read_bytes()) for path in found]


Maker = Callable[[list[Member]], Zip]


def lying(name: str, local: Lies | None = None, central: Lies | None = None) -> Maker:
    """The records of one member lie."""

    def make(held: list[Member]) -> Zip:
        one = _named(held, name)
        one.local, one.central = local or {}, central or {}
        return Zip(held)

    return make


def more(*others: Member) -> Maker:
    return lambda held: Zip([*held, *others])


def first(*others: Member) -> Maker:
    return lambda held: Zip([*others, *held])


def _named(held: list[Member], name: str) -> Member:
    return next(one for one in held if one.name == name.encode())


def _link(name: bytes, target: bytes) -> Member:
    return Member(name, target, central={"external": 0o120777 << 16})


def _kind(mode: int) -> Maker:
    return lying("log/ids/c.0", central={"external": mode << 16})


def _holed(name: str, size: int) -> Maker:
    def make(held: list[Member]) -> Zip:
        _named(held, name).hole = size
        return Zip(held)

    return make


def _changed(name: str, change: Callable[[Member], None]) -> Maker:
    def make(held: list[Member]) -> Zip:
        change(_named(held, name))
        return Zip(held)

    return make


def _all(change: Callable[[Member], None]) -> Maker:
    def make(held: list[Member]) -> Zip:
        for one in held:
            change(one)
        return Zip(held)

    return make


def _nested(held: list[Member]) -> Zip:
    """A zip bomb within: the directory of 40 members, all over the same megabyte of zeros."""
    inner = [
        Member(b"%d" % k, bytes(2**20), deflated=True, central={"header": 0}) for k in range(40)
    ]
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        Zip(inner).write(Path(folder) / "in.zip")
        data = (Path(folder) / "in.zip").read_bytes()
    return Zip([*held, Member(b"in.zip", data), Member(b"vectors/in.zip", data)])


def _crossing(held: list[Member]) -> Zip:
    """All members over the first one's bytes."""
    for one in held[1:]:
        one.central["header"] = 0
    return Zip(held)


def _behind(held: list[Member]) -> Zip:
    return Zip(held, spoil=lambda raw: raw.extend(bytes(100)))


NAMES = (
    *(
        b"..",
        b"../evil",
        b"a/../../evil",
        b"/tmp/evil",
        b"//evil",
        b"evil/",
        b"",
        b".",
        b"./a",
        b"/",
    ),
    *(b"a\\..\\evil", b"C:\\evil", b"c:evil", b"\\\\host\\evil", b"a\0b", b"a\nb", b"\x1b[2Jevil"),
    *(b"\x9b2J", "\u202elive".encode(), b"\xff\xfe", "über".encode(), b"a" * 60_000, b"a/" * 3000),
    *(b".lock", b".lease", b"zarr.json/x", b"log", b"log/ids/c.0/x", b"ZARR.JSON", b"c.0.0 "),
    *(b"state/99/ids/c.0", b"vectors/c.999.0", b"vectors/c.-1.0", b"x.tmp", b"era/1/vectors/c.0.0"),
)

TABLE: dict[str, Maker] = {
    "sound": lambda held: Zip(held),
    "empty": lambda held: Zip([]),
    "only the root": lambda held: Zip([_named(held, "zarr.json")]),
    "without the root": lambda held: Zip([one for one in held if one.name != b"zarr.json"]),
    "deflated": _all(lambda one: setattr(one, "deflated", True)),
    "bomb": more(Member(b"bomb", bytes(2**26), deflated=True)),
    "bomb of a root": _changed(
        "zarr.json",
        lambda one: one.__dict__.update(data=b"[" * 2**24 + b"]" * 2**24, deflated=True),
    ),
    "bomb said to be stored": more(
        Member(b"bomb", bytes(2**26), deflated=True, local={"method": 0}, central={"method": 0})
    ),
    "nested bombs": _nested,
    "size of 4 GB": lying("log/ids/c.0", central={"packed": FULL - 1, "plain": FULL - 1}),
    "size of 4 GB in both": lying(
        "log/ids/c.0",
        {"packed": FULL - 1, "plain": FULL - 1},
        {"packed": FULL - 1, "plain": FULL - 1},
    ),
    "size of nothing": lying("log/ids/c.0", central={"packed": 0, "plain": 0}),
    "size of a root": lying("zarr.json", central={"packed": 5, "plain": 5}),
    "hole in a root": _holed("zarr.json", 2**33),
    "hole in a chunk": _holed("vectors/c.0.0", 2**40),
    "hole in the texts": _holed("texts/bytes/c.0", 2**33),
    "hole of garbage": more(Member(b"garbage", hole=2**40)),
    "size in zip64": _changed(
        "log/ids/c.0",
        lambda one: one.__dict__.update(
            central={"packed": FULL, "plain": FULL}, extra=struct.pack("<2H2Q", 1, 16, 2**60, 2**60)
        ),
    ),
    "size below nothing": _changed(
        "log/ids/c.0",
        lambda one: one.__dict__.update(
            central={"packed": FULL, "plain": FULL},
            extra=struct.pack("<2H2Q", 1, 16, 2**64 - 1, 2**64 - 1),
        ),
    ),
    "header in zip64": _changed(
        "log/ids/c.0",
        lambda one: one.__dict__.update(
            central={"header": FULL}, extra=struct.pack("<2HQ", 1, 8, 2**64 - 1)
        ),
    ),
    "zip64 field cut": _changed(
        "log/ids/c.0",
        lambda one: one.__dict__.update(central={"plain": FULL}, extra=b"\1\0\x10\0abc"),
    ),
    "extra without end": _changed(
        "log/ids/c.0", lambda one: one.__dict__.update(extra=b"\7\0\xff\xff")
    ),
    "twice": lambda held: Zip([*held, Member(b"zarr.json", b"{}")]),
    "twice in the directory": lambda held: Zip([*held, _named(held, "zarr.json")]),
    "twice but for a mark": lambda held: Zip([*held, Member(b"zarr.json/", b"")]),
    "overlapping": _crossing,
    "header beyond": lying("log/ids/c.0", central={"header": 2**31}),
    "header at the directory": _changed("log/ids/c.0", lambda one: one.central.update(header=1)),
    "another name inside": _changed(
        "log/ids/c.0", lambda one: setattr(one, "local_name", b"../evil.txt")
    ),
    "no name inside": _changed("log/ids/c.0", lambda one: setattr(one, "local_name", b"")),
    "long name inside": lying("log/ids/c.0", {"names": HALF}),
    "long extra inside": lying("log/ids/c.0", {"extras": HALF}),
    "long name": lying("log/ids/c.0", central={"names": HALF}),
    "long comment": lying("log/ids/c.0", central={"comments": HALF}),
    "method inside": lying("log/ids/c.0", {"method": 8}),
    "method outside": lying("log/ids/c.0", central={"method": 8}),
    "bzip2": lying("log/ids/c.0", {"method": 12}, {"method": 12}),
    "encrypted": lying("log/ids/c.0", {"flags": 1}, {"flags": 1}),
    "encrypted outside": lying("zarr.json", central={"flags": 1}),
    "encrypted inside": lying("zarr.json", {"flags": 1}),
    "streamed": lying("log/ids/c.0", {"flags": 8, "packed": 0, "plain": 0}, {"flags": 8}),
    "patched": lying("log/ids/c.0", {"flags": 32}, {"flags": 32}),
    "crc": lying("log/ids/c.0", {"crc": 1}, {"crc": 2}),
    "disk": lying("log/ids/c.0", central={"disk": 3}),
    "link": more(_link(b"link", b"/etc/passwd")),
    "link to a folder": first(_link(b"log", b"/tmp"), Member(b"log/evil", b"x")),
    "root is a link": lying("zarr.json", central={"external": 0o120777 << 16}),
    "device": _kind(0o020666),
    "fifo": _kind(0o010666),
    "socket": _kind(0o140666),
    "folder": _kind(0o040755),
    "set uid": _kind(0o107777),
    "made by another": lying("log/ids/c.0", central={"made": 0, "external": 0o120777 << 16}),
    "folder of bytes": more(Member(b"folder/", b"bytes")),
    "folders": lambda held: Zip([*held, *(Member(b"d%d/" % k) for k in range(3000))]),
    "files in folders": more(*(Member(b"d%d/x" % k) for k in range(3000))),
    "deep": more(Member(b"/".join([b"d"] * 300))),
    "a million records": lambda held: Zip(
        held, spoil=lambda raw: _records(raw, 1_000_000, len(held))
    ),
    "as many as allowed": lambda held: Zip([*held, *(Member(b"%d" % k) for k in range(2**17))]),
    "count of a million": lambda held: Zip(held, wide={"count": 1_000_000}),
    "count of 2^63": lambda held: Zip(held, wide={"count": 2**63}),
    "count of none": lambda held: Zip(held, end={"count": 0, "here": 0}),
    "one fewer": lambda held: Zip(held, end={"count": len(held) - 1, "here": len(held) - 1}),
    "one more": lambda held: Zip(held, end={"count": len(held) + 1, "here": len(held) + 1}),
    "some elsewhere": lambda held: Zip(held, end={"here": 1}),
    "directory of 4 GB": lambda held: Zip(held, end={"size": FULL - 1}),
    "directory beyond": lambda held: Zip(held, end={"start": 2**31}),
    "directory of disks": lambda held: Zip(held, end={"disk": 1, "first": 1}),
    "zip64": lambda held: Zip(held, wide={}),
    "zip64 size": lambda held: Zip(held, wide={"size": 2**63}),
    "zip64 start": lambda held: Zip(held, wide={"start": 2**64 - 1}),
    "zip64 wraps": lambda held: Zip(held, wide={"size": 2**64 - 1, "start": 100}),
    "zip64 elsewhere": lambda held: Zip(held, wide={"place": 0}),
    "zip64 beyond": lambda held: Zip(held, wide={"place": 2**63}),
    "zip64 disks": lambda held: Zip(held, wide={"disks": 9}),
    "zip64 long": lambda held: Zip(held, wide={"length": 2**62}),
    "zip64 without": lambda held: Zip(held, end={"start": FULL}),
    "trailing": _behind,
    "trailing zip": lambda held: Zip(held, tail=END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)),
    "comment": lambda held: Zip(held, comment=b"\x1b[2J hello"),
    "comment of an end": lambda held: Zip(held, comment=END.pack(b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)),
    "comment not there": lambda held: Zip(held, end={"comment": 500}),
    "before": lambda held: Zip(held, before=b"#!/bin/sh\n" + bytes(500)),
    "comments within": _all(lambda one: setattr(one, "comment", b"\x1b]0;owned\x07" * 9)),
    "nothing": lambda held: Zip(held, spoil=lambda raw: raw.clear()),
    "zeros": lambda held: Zip(held, spoil=lambda raw: raw.__setitem__(slice(None), bytes(5000))),
    "only an end": lambda held: Zip(held, spoil=lambda raw: raw.__delitem__(slice(0, -22))),
    **{f"name {name[:40]!r}": more(Member(name, b"evil")) for name in NAMES},
}


def _records(raw: bytearray, count: int, there: int) -> None:
    """A directory of ``count`` more records, all of the same empty folder."""
    start = struct.unpack_from("<L", raw, len(raw) - END.size + 16)[0]
    directory = bytes(raw[start : -END.size])
    record = CENTRAL.pack(b"PK\1\2", 20, 20, *[0] * 7, 2, *[0] * 6) + b"d/"
    directory += record * count
    del raw[start:]
    at, size = start + len(directory), len(directory)
    raw += directory
    raw += END_64.pack(b"PK\6\6", 44, 45, 45, 0, 0, there + count, there + count, size, start)
    raw += PLACE_64.pack(b"PK\6\7", 0, at, 1)
    raw += END.pack(b"PK\5\6", 0, 0, HALF, HALF, FULL, FULL, 0)


def spoiled(held: list[Member], rng: random.Random) -> tuple[Zip, str]:
    """One to four lies, flips and cuts, drawn from ``rng``."""
    made, told, flips = Zip(held), [], list[Callable[[bytearray], None]]()
    for _ in range(rng.choice((1, 1, 2, 4))):
        one = rng.choice(held)
        kind = rng.choice(
            ("local", "central", "end", "wide", "flip", "flip", "cut", "name", "swap")
        )
        if kind in ("local", "central"):
            fields = LOCAL_FIELDS if kind == "local" else CENTRAL_FIELDS
            name = rng.choice(fields[1:])
            limit = FULL if name in ("crc", "packed", "plain", "header", "external") else HALF
            getattr(one, kind)[name] = min(limit, rng.choice(_LIES))
            told.append(f"{kind} {name} of {one.name!r}")
        elif kind == "end":
            name = rng.choice(END_FIELDS[1:])
            limit = FULL if name in ("size", "start") else HALF
            made.end[name] = min(limit, rng.choice(_LIES))
            told.append(f"end {name}")
        elif kind == "wide":
            name = rng.choice(("count", "size", "start", "place", "length", "disk"))
            limit = FULL if name == "disk" else 2**64 - 1
            made.wide = (made.wide or {}) | {name: min(limit, rng.choice((*_LIES, 2**63, 2**64)))}
            told.append(f"wide {name}")
        elif kind == "name":
            one.name = rng.choice(NAMES)
            told.append(f"named {one.name[:40]!r}")
        elif kind == "swap":
            other = rng.choice(held)
            one.data, other.data = other.data, one.data
            told.append(f"swapped {one.name!r}, {other.name!r}")
        else:
            flips.append(_cut(rng.random()) if kind == "cut" else _flip(rng))
            told.append(kind)
    made.spoil = (lambda raw: [flip(raw) for flip in flips] and None) if flips else None
    return made, "; ".join(told)


_LIES = (0, 1, 2, 8, 20, 255, 4096, HALF - 1, HALF, 2**16, 2**31 - 1, 2**31, FULL - 1, FULL)


def _flip(rng: random.Random) -> Callable[[bytearray], None]:
    place, value, near_end = rng.random(), rng.randrange(1, 256), rng.random() < 0.6

    def flip(raw: bytearray) -> None:
        span = min(len(raw), 4000) if near_end else len(raw)
        if raw:
            raw[len(raw) - 1 - int(place * span)] ^= value

    return flip


def _cut(share: float) -> Callable[[bytearray], None]:
    return lambda raw: raw.__delitem__(slice(int(share * len(raw)), None))
