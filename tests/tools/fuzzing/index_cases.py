"""Questions to a store whose derived index was tampered with: answered, whatever lies there."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import zlib
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from fuzzing.judge import Judge

QUESTIONS = ("Who saw the owl?", "bees", "word7 word9 in the house")


@cache
def _original() -> Path:
    """A store with an index, made once."""
    from memoria.config import MemoriaConfig
    from memoria.store import MemoryStore

    place = Path(tempfile.mkdtemp(prefix="indexed-")) / "store"
    words = "owl bees house clock river Ada saw heard built".split()
    texts = [
        f"{words[n % 9]} {words[n % 7]} word{n % 40} in the {words[n % 5]}" for n in range(600)
    ]
    config = MemoriaConfig(hidden_dim=8, backbone="hash", wm_length=200)
    with MemoryStore.create(place, config) as store:
        vectors = store.backbone.encode(texts)
        for first in range(0, 600, 200):
            store.step(
                vectors[None, first : first + 200], "uniform:1", [texts[first : first + 200]]
            )
    with MemoryStore.open(place) as store:
        store.ask(QUESTIONS[0])
    assert (place / "index" / "lane-0.sqlite").is_file()
    return place


def case(judge: Judge, rng: random.Random, folder: Path) -> None:
    """One index, changed, under a question or two, and under a step that adds to it."""
    store = folder / "store"
    shutil.copytree(_original(), store)
    judge.case += f" {_change(store / 'index' / 'lane-0.sqlite', rng)}"
    for question in rng.sample(QUESTIONS, 2):
        code = judge.command("ask", str(store), question, "--json")
        if code != 0:
            judge.note("ask", f"exit code {code}")
    if rng.random() < 0.2:
        judge.command("step", str(store), "--text", "The owl came back.")
        judge.command("ask", str(store), "owl")


def _change(file: Path, rng: random.Random) -> str:
    kind = rng.choice(("flip", "cut", "rows", "sealed", "noise", "other", "link", "schema"))
    raw = bytearray(file.read_bytes())
    if kind == "flip":
        for _ in range(rng.choice((1, 8, 200))):
            raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        file.write_bytes(raw)
    elif kind == "cut":
        file.write_bytes(raw[: rng.randrange(len(raw))])
    elif kind == "noise":
        file.write_bytes(raw[:100] + rng.randbytes(rng.randrange(100_000)))
    elif kind == "other":
        os.truncate(file, 0)
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("CREATE VIEW parts AS SELECT randomblob(1000000000) AS data")
    elif kind == "link":
        file.unlink()
        file.symlink_to(rng.choice(("/etc/passwd", "/dev/zero", "lane-0.sqlite")))
    elif kind == "schema":
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("CREATE TRIGGER t AFTER INSERT ON parts BEGIN SELECT 1; END")
    else:
        kind += " " + _change_rows(file, rng, kind == "sealed")
    return kind


def _change_rows(file: Path, rng: random.Random, sealed: bool) -> str:
    """Change one row of the table; ``sealed``: with a right checksum."""
    with closing(sqlite3.connect(file)) as database, database:
        rows = database.execute("SELECT rowid, kind, name, data FROM parts").fetchall()
        number, kind, name, data = rng.choice(rows)
        raw = bytearray(data)
        for _ in range(rng.choice((1, 4, 64)) if raw else 0):
            raw[rng.randrange(len(raw))] = rng.choice((0, 255, 127, rng.randrange(256)))
        if sealed and rng.random() < 0.3:
            raw = raw[: rng.randrange(len(raw) + 1)]
        crc = zlib.crc32(raw) if sealed else rng.randrange(2**32)
        with suppress(sqlite3.Error):
            database.execute(
                "UPDATE parts SET data = ?, crc = ? WHERE rowid = ?", (bytes(raw), crc, number)
            )
        if rng.random() < 0.3:
            column = rng.choice(("dtype", "width", "size", "first"))
            lie = rng.choice(("O8", "|V0", -1, 2**62, 3, "<f8"))
            database.execute(f"UPDATE parts SET {column} = ? WHERE rowid = ?", (lie, number))
    return f"{kind}/{name}"
