"""Every way to take in an archive, on those that strangers made."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from zlib import crc32

import numpy as np

from fuzzing.archive_files import TABLE, Zip, members, spoiled
from fuzzing.judge import Judge, tree
from fuzzing.sealed import Sealed
from fuzzing.store_cases import originals, rows
from fuzzing.store_changes import changed

# A stands for the archive, N for a place where nothing is, C for a cue.
VERBS: tuple[tuple[str, ...], ...] = (
    ("import", "A", "N"),
    ("inspect", "A"),
    ("verify", "A"),
    ("import", "A", "N", "--json"),
    ("inspect", "A", "--json", "--engrams", "--edges", "--history", "--forgotten"),
    ("verify", "A", "--json"),
    ("inspect", "A", "3", "--json"),
    ("inspect", "A@1"),
    ("list", "A", "--type", "all", "--json"),
    ("diff", "A", "A@1"),
    ("snapshot", "list", "A"),
    ("plot", "A", "lifespans", "--json"),
    ("remind", "A", "--peek"),
    ("verify", "A", "--repair", "-o", "N"),
    ("export", "A", "N.jsonl"),
    ("export", "A", "N.memoria.zip"),
    ("step", "A", "C"),
    ("compact", "A", "--yes"),
)
_MAIN = 3  # of the verbs: every archive of the table goes through them


def table(judge: Judge, rng: random.Random, folder: Path) -> None:
    """The next of the table, by the number of the case, through the main verbs and another."""
    names = sorted(TABLE, key=lambda name: crc32(name.encode()))  # mixed: the first few will do
    name = names[int(judge.case.rpartition(" ")[2].rstrip(":") or 0) % len(names)]
    judge.case += f" {name}"
    held = members(_store("small-idle"))
    _take(judge, folder, TABLE[name](held), (*VERBS[:_MAIN], rng.choice(VERBS[_MAIN:])))


def lies(judge: Judge, rng: random.Random, folder: Path) -> None:
    """A sound archive with random lies, or a sound zip of a store that was tampered with."""
    name, original = rng.choice(originals())
    if rng.random() < 0.5:
        made, told = spoiled(members(original), rng)
    else:
        told = changed(original, rng, folder / "store")
        made = Zip(members(folder / "store"))
        shutil.rmtree(folder / "store")
    judge.case += f" {name}: {told}"
    _take(judge, folder, made, (VERBS[0], *rng.sample(VERBS[1:], 2)))


def _store(name: str) -> Sealed:
    return dict(originals())[name].copy()


def _take(judge: Judge, folder: Path, made: Zip, lines: tuple[tuple[str, ...], ...]) -> None:
    """Run the verbs; what fails leaves nothing behind, and nobody changes the archive."""
    archive, new = folder / "a.memoria.zip", folder / "new"
    made.write(archive)
    np.save(folder / "cue.npy", rows(2, 2, 8))
    words = {"A": str(archive), "A@1": f"{archive}@1", "N": str(new), "C": str(folder / "cue.npy")}
    words |= {f"N{end}": f"{new}{end}" for end in (".jsonl", ".memoria.zip")}
    before = _stamps(folder)
    for line in lines:
        code = judge.command(*[words.get(word, word) for word in line])
        if code == 0 and line[0] == "import":
            judge.command("inspect", str(new), "--json")
        after = _stamps(folder)
        fresh = {name for name in after if name.startswith("new") and code == 0}
        allowed = fresh | (
            {n for n in after if n.startswith("new")} if "--repair" in line else set()
        )
        wrong = [n for n in sorted(before | after) if before.get(n) != after.get(n)]
        if wrong := [name for name in wrong if name not in allowed]:
            judge.note(" ".join(line), f"exit code {code}, changed {wrong[:5]}")
        for path in folder.glob("new*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _stamps(folder: Path) -> dict[str, str]:
    """As `tree`, where a large file (there are holes of terabytes) is its size and time."""
    large = [path for path in folder.iterdir() if path.is_file() and path.stat().st_size > 2**27]
    if not large:
        return tree(folder)
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(folder))] = f"{status.st_size} {status.st_mtime_ns}"
    return {name: stamp for name, stamp in found.items() if not name.endswith((".lock", ".lease"))}
