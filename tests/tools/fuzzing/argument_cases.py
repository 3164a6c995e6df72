"""Command lines with values that no option expects, of every verb that the app has.

The verbs and their options are asked of the app, so a new one is covered as soon as it is there.
"""

from __future__ import annotations

import os
import random
import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.input_files import make_socket
from fuzzing.judge import Judge, tree
from fuzzing.store_cases import originals

LEFT_OUT = ("demo",)  # it makes a store of its own, for minutes
FOLDER_NAME = "a\x1b[31m\u202e[link=x]\n folder"

VALUES: tuple[str, ...] = (
    *(
        "",
        " ",
        "0",
        "1",
        "-1",
        "007",
        "1.5",
        "-0.0",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "1e400",
        "1e-400",
    ),
    *(str(2**31), str(2**63), str(-(2**63) - 1), str(10**30), "9" * 5000, "0x10", "1_000", "١٢"),
    *(
        "\0",
        "a\0b",
        "\x1b[31mred",
        "\x1b]0;t\x07",
        "\x9b2J",
        "\u202eevil",
        "\ud800",
        "\udcff",
        "\n",
    ),
    *("[link=x]y[/]", "[/]", "[bold", "{}", "*", "%s", "$HOME", "`id`", "a" * 10_000, "é" * 300),
    *("--", "-", "--json", "-h", "=", "a=b", "key=" + "9" * 5000, "true", "none", "null"),
    *("/dev/zero", "/dev/null", "/dev/full", "/dev/stdin", "/", ".", "..", "~", "/proc/self/mem"),
    *(
        "fifo",
        "socket",
        "dir",
        "dangling",
        "loop",
        "good.npy",
        "good.npy:x",
        "good.txt",
        "none.npy",
    ),
    *(
        "fifo.npy",
        "fifo.txt",
        "zero.txt",
        "zero.npy",
        "new",
        "new.npy",
        "new.npz",
        "new.zarr",
        "a/b",
    ),
    *("store", "store/", "store/zarr.json", "store@1", "store@99999", "store@-1", "store@", "@"),
    *("store@" + "9" * 5000, "store@\x1b[2J", "uniform:1e400", "uniform:", "correlation:nan"),
    *(
        "window:0",
        "window:" + "9" * 30,
        "10..5",
        "..",
        "1..",
        "a..b",
        "99999999999d",
        "-5d",
        "hash",
    ),
    *("array", "hf:", "hf:.", "st:dir", "x:y", "cuda:99", "float32", "gpt2", "living", "csv"),
)
USUAL = {
    "store": "store",
    "inputs": "good.npy",
    "old": "store",
    "new": "new",
    "out": "new.npy",
    "name": "a",
    "engram": "1",
    "a": "store",
    "b": "store@1",
}


@cache
def verbs() -> tuple[tuple[tuple[str, ...], Any], ...]:
    """Every verb as its words and its command, those of groups too."""
    from memoria_cli.app import command

    found: list[tuple[tuple[str, ...], Any]] = []

    def look(words: tuple[str, ...], one: Any) -> None:
        inner = getattr(one, "commands", None)
        if inner is None:
            found.append((words, one))
            return
        for name, below in sorted(inner.items()):
            if name not in LEFT_OUT:
                look((*words, name), below)

    look((), command())
    return tuple(found)


def case(judge: Judge, rng: random.Random, folder: Path) -> None:
    """One command line, among files of every kind."""
    place = folder / FOLDER_NAME if rng.random() < 0.2 else folder / "work"
    _furnish(place, rng)
    os.chdir(place)
    words, command = rng.choice(verbs())
    line = _line(words, command, rng)
    if any(before in ("-o", "--output") and "fifo" in word for before, word in pairwise(line)):
        line = [word.replace("fifo", "new") for word in line]  # else it waits for a reader
    judge.case += f" {line!r}"[:700]
    before = tree(place)
    code = judge.command(*line, stdin=rng.choice((b"", b"A cat. A dog.", b"\xff\0", b"y\n")))
    if code != 0 and (after := tree(place)) != before:
        changes = [name for name in before | after if before.get(name) != after.get(name)]
        judge.note(" ".join(words), f"failed and changed {sorted(changes)[:5]}")
    os.chdir("/")
    shutil.rmtree(place, ignore_errors=True)


def _furnish(place: Path, rng: random.Random) -> None:
    place.mkdir()
    dict(originals())[rng.choice(("small-idle", "small-working", "small-reminded"))].write(
        place / "store"
    )
    np.save(place / "good.npy", np.ones((2, 2, 8), np.float32))
    (place / "good.txt").write_text("A cat. A dog.")
    for name in ("fifo", "fifo.npy", "fifo.txt"):
        os.mkfifo(place / name)
    for name, target in (
        ("dangling", "nowhere"),
        ("loop", "loop"),
        ("zero.txt", "/dev/zero"),
        ("zero.npy", "/dev/zero"),
    ):
        (place / name).symlink_to(target)
    os.chdir(place)  # the path of a socket must be short
    make_socket("socket")
    (place / "dir").mkdir()
    (place / "dir" / "file").write_text("mine")


def _line(words: tuple[str, ...], command: Any, rng: random.Random) -> list[str]:
    """The verb with usual arguments and some options, a few of them with hostile values."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    spoiled = {
        one.name
        for one in rng.sample(command.params, min(len(command.params), rng.randrange(1, 4)))
    }
    line: list[str] = []
    for one in arguments:
        if one.name in spoiled:
            line += [rng.choice(VALUES) for _ in range(rng.choice((1, 1, 2, 0)))]
        elif one.required or one.name in ("inputs",):
            line.append(USUAL.get(str(one.name), "store"))
    for one in options:
        if one.name not in spoiled:
            continue
        name = rng.choice([*one.opts, *one.secondary_opts])
        if one.is_flag:
            line.append(name)
        else:
            line += rng.choice(([name, rng.choice(VALUES)], [f"{name}={rng.choice(VALUES)}"]))
    if rng.random() < 0.3:
        line.insert(rng.randrange(len(line) + 1), rng.choice(VALUES))
    if rng.random() < 0.3:
        line.append("--json")
    return [*words, *line]
