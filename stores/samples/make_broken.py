"""Puts a broken sample together: ``python stores/samples/make_broken.py NAME OUT``.

A broken store is a sound sample with one fault. Under broken/ lie only the files in which they
differ, and NAME.json: the sound sample, what to remove or to make a link, and what `memoria
verify` must find. ``make_broken.py --all`` made these once; they stay as they are.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from forging import add_to, forge, forge_root, put

from memoria.chunkstore.root import read_root
from memoria.chunkstore.sources.local import LocalSource
from memoria.chunkstore.spec import ArraySpec
from memoria.errors import NewerFormatError
from memoria.store.verify import verify

SAMPLES = Path(__file__).parent
BROKEN = SAMPLES / "broken"
LOG, TEXTS, NAMED = "v1/long-term-and-forgotten", "v1/texts-with-sources", "v2/named-states"

Fault = Callable[[Path], None]


def flip(name: str, at: int) -> Fault:
    """One bit of one byte."""

    def fault(path: Path) -> None:
        content = bytearray((path / name).read_bytes())
        content[at] ^= 1
        (path / name).write_bytes(content)

    return fault


def cut(name: str, size: int) -> Fault:
    return lambda path: (path / name).write_bytes((path / name).read_bytes()[:size]) and None


def forged(name: str, change: Any) -> Fault:
    return lambda path: forge(path, name, change)


def forged_root(change: Callable[[dict[str, Any]], None]) -> Fault:
    return lambda path: forge_root(path, change)


def replaced(name: str, old: str, new: str) -> Fault:
    """A piece of the text of a file."""

    def fault(path: Path) -> None:
        text = (path / name).read_text()
        if text.count(old) != 1:
            raise ValueError(f"{name}: {old} is there {text.count(old)} times")
        (path / name).write_text(text.replace(old, new))

    return fault


def linked(name: str) -> Fault:
    """The file moved away, and a link to it in its place."""

    def fault(path: Path) -> None:
        (path / name).rename(path.parent / "elsewhere")
        (path / name).symlink_to(path.parent / "elsewhere")

    return fault


def unknown_array(path: Path) -> None:
    """An array that is none of the format's, sound in itself."""
    root = read_root(LocalSource(path))
    spec = ArraySpec("log/notes", "i8", (), 16, None, -1, ("note",))
    (path / "log/notes").mkdir()
    (path / "log/notes/zarr.json").write_text(json.dumps(spec.metadata(0)))
    arrays = {**root.arrays, "log/notes": (spec, 0)}
    (path / "zarr.json").write_bytes(replace(root, arrays=arrays).encode())


def other_digest(attributes: dict[str, Any]) -> None:
    attributes["snapshots"]["after-20"]["digest"] = attributes["snapshots"]["after-10"]["digest"]


FAULTS: dict[str, tuple[str, Fault]] = {
    "flipped-vector-byte": (LOG, flip("vectors/c.0.0", 3000)),
    "missing-chunk": (LOG, lambda path: (path / "log/expiry/c.0").unlink()),
    "truncated-log": (LOG, cut("log/ids/c.0", 1000)),
    "wrong-digest": (LOG, forged("log/steps", add_to((29, 4), 1))),
    "engram-that-never-was": (LOG, forged("log/ids", put(700, 99999))),
    "type-out-of-order": (LOG, forged("state/1/types", put(3, 2))),
    "state-disagrees-with-log": (LOG, forged("state/1/expiry", add_to(10, 0.5))),
    "edge-count-wrong": (LOG, forged("state/1/edges/count", add_to(40, 1))),
    "text-offsets-descending": (TEXTS, forged("texts/index", put((20, 0), 3))),
    "root-checksum-wrong": (LOG, replaced("zarr.json", "crc32c:a", "crc32c:b")),
    "newer-format": (LOG, replaced("zarr.json", '"format_version":1', '"format_version":1000')),
    "symbolic-link": (LOG, linked("log/steps/c.0.0")),
    "unknown-array": (LOG, unknown_array),
    "leading-child-metadata": (LOG, replaced("log/ids/zarr.json", "1301", "1302")),
    "snapshot-of-another-step": (NAMED, forged_root(other_digest)),
}


def assemble(name: str, out: Path) -> dict[str, Any]:
    """Put the broken sample ``name`` together at ``out``; what NAME.json says."""
    told: dict[str, Any] = json.loads((BROKEN / f"{name}.json").read_text(encoding="utf-8"))
    shutil.copytree(SAMPLES / told["base"], out)
    if (BROKEN / name).is_dir():
        shutil.copytree(BROKEN / name, out, dirs_exist_ok=True)
    for one in told["remove"]:
        (out / one).unlink()
    for one in told["link"]:  # version control keeps links badly: they are made here
        (out / one).unlink()
        (out / one).symlink_to(SAMPLES / told["base"] / one)
    return told


def make(name: str) -> None:
    """Write NAME.json and the files in which the broken sample differs from the sound one."""
    base, fault = FAULTS[name]
    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / "store"
        shutil.copytree(SAMPLES / base, path)
        fault(path)
        before, after = _files(SAMPLES / base), _files(path)
        shutil.rmtree(BROKEN / name, ignore_errors=True)
        for changed in sorted(after):
            if after[changed] is not None and before.get(changed) != after[changed]:
                place = BROKEN / name / changed
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(after[changed] or b"")
        told: dict[str, Any] = {
            "base": base,
            "remove": sorted(before.keys() - after.keys()),
            "link": sorted(one for one in after if after[one] is None),
        }
        try:
            report = verify(path)
        except NewerFormatError as error:
            told |= {"exit_code": error.exit_code, "finding": None, "sound_step": None}
        else:
            finding = asdict(report.findings[0])
            told |= {"exit_code": 3, "finding": finding, "sound_step": report.sound_step}
    text = json.dumps(told, indent=1) + "\n"
    (BROKEN / f"{name}.json").write_text(text, encoding="utf-8")


def _files(path: Path) -> dict[str, bytes | None]:
    """The content of every file, None for a link."""
    return {
        str(file.relative_to(path)): None if file.is_symlink() else file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_symlink() or file.is_file()
    }


def main(arguments: list[str]) -> int:
    if arguments == ["--all"]:
        for name in FAULTS:
            make(name)
        return 0
    if len(arguments) != 2 or arguments[0] not in FAULTS:
        sys.stderr.write(f"usage: make_broken.py {{{','.join(FAULTS)}}} OUT\n")
        return 2
    assemble(arguments[0], Path(arguments[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
