"""Changes of a store, each drawn from a generator: the metadata, the values, the bytes, the files.

A change takes the store apart (`Sealed`) or, once written, the folder itself.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing.sealed import Sealed, crc, reseal
from fuzzing.values import FLOATS, INTEGERS, TEXTS, anything

Raw = Callable[[Path], None]


def changed(store: Sealed, rng: random.Random, folder: Path) -> str:
    """Write ``store`` with one to three changes to ``folder``; says what was changed."""
    made, told = store.copy(), []
    afterwards: list[Raw] = []
    chosen = [rng.choice(CHANGES) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    for change in sorted(chosen, key=CHANGES.index):  # what shatters the root comes last
        try:
            what = change(made, rng)
        except (LookupError, TypeError, AttributeError, ValueError):
            what = "impossible by now"
        if isinstance(what, tuple):
            what, raw = what
            afterwards.append(raw)
        told.append(f"{change.__name__}: {what}")
    made.write(folder)
    for raw in afterwards[:1]:  # a second one might not find what it expects
        raw(folder)
    return "; ".join(told)[:600]


def metadata(store: Sealed, rng: random.Random) -> str:
    """One value anywhere in the root becomes another, goes, or gets company."""
    return _at_random_place(store.root, rng)


def attributes(store: Sealed, rng: random.Random) -> str:
    """The same within what describes the memory."""
    return _at_random_place(store.attributes, rng)


def pending(store: Sealed, rng: random.Random) -> str:
    """A step begun that fits its own rules and little else."""
    lanes = store.attributes["config"]["lanes"]
    created = store.metadata["vectors"]["shape"][0]
    ids = [
        sorted({rng.choice((0, lane, created, 2**40, rng.randrange(created + 1))) for _ in "abc"})
        for lane in range(lanes)
    ]
    ids = [[i - i % lanes + lane for i in row] for lane, row in enumerate(ids)]
    ids = [list(dict.fromkeys(row)) for row in ids]
    value = {
        "phase": rng.choice(("idle", "working", "reminded", "reminded")),
        "reminded": ids,
        "scores": [[rng.choice((0.0, -1.0, 1e308, -1e308, 800)) for _ in row] for row in ids],
        "longterm": [rng.randrange(len(row) + 1) for row in ids],
        "partial": [rng.random() < 0.5 for _ in ids],
    }
    if value["phase"] != "reminded":
        value |= {"reminded": [], "scores": [], "longterm": [], "partial": []}
    store.attributes["pending"] = value
    return json.dumps(value)


def settings(store: Sealed, rng: random.Random) -> str:
    """Settings at their bounds: the shapes of the arrays stay as they are."""
    told = {}
    for _ in range(rng.choice((1, 2, 4))):
        name, values = rng.choice(tuple(SETTINGS.items()))
        told[name] = store.attributes["config"][name] = rng.choice(values)
    return json.dumps(told)[:300]


def format_2(store: Sealed, rng: random.Random) -> str:
    """Eras and snapshots that fit their own rules and little else."""
    created, steps = (store.metadata[name]["shape"][0] for name in ("vectors", "log/steps"))
    number = rng.choice((0, 1, created, steps, 2**40, 2**61))
    name = rng.choice(("generation", "step", "rows", "kept", "log_end", "log_kept"))
    store.attributes["era"][name] = number
    if name in ("rows", "log_end") and rng.random() < 0.5:
        store.attributes["state"][name] = number
    moment = {"step": rng.choice((0, 1, steps, number)), "events": rng.choice((0, number))}
    store.attributes["snapshots"][rng.choice(("a", "1", "..", *TEXTS))] = {
        **moment,
        "digest": "0" * 64,
        "created": number,
        "note": rng.choice(TEXTS)[:1000],
    }
    return f"era {name} = {number}, snapshot {moment}"


def row_count(store: Sealed, rng: random.Random) -> str:
    """The root claims another number of rows."""
    name = rng.choice(store.arrays())
    shape = store.metadata[name]["shape"]
    shape[0] = rng.choice((0, 1, shape[0] - 1, shape[0] + 1, shape[0] + 300, 2**20, 2**40, 2**56))
    return f"{name} {shape}"


def values(store: Sealed, rng: random.Random) -> str:
    """Illegal values in an array, all checksums right."""
    names = [name for name in store.arrays() if store.metadata[name]["shape"][0]]
    name = rng.choice(names)
    array = store.read(name)
    told = _spoiled(array, rng)
    store.put(name, array)
    return f"{name} {told}"


def lengths(store: Sealed, rng: random.Random) -> str:
    """An array really gets shorter or longer."""
    name = rng.choice(store.arrays())
    array = store.read(name) if store.metadata[name]["shape"][0] else None
    if array is None:
        rest = store.metadata[name]["shape"][1:]
        dtype = {"uint8": "u1", "int64": "i8", "float64": "f8", "float32": "f4"}
        kind = dtype[store.metadata[name]["data_type"]]
        store.put(name, np.ones((rng.randrange(1, 40), *rest), kind))
        return f"{name} made up"
    size = rng.choice((0, len(array) // 2, len(array) - 1, len(array) + 1, 2 * len(array)))
    store.put(name, np.resize(array, (size, *array.shape[1:])) if size else array[:0])
    return f"{name} {size} rows"


def flipped(store: Sealed, rng: random.Random) -> str:
    """Bytes of a file change; half of the times its checksum is made anew."""
    name = rng.choice(sorted(store.files))
    data = bytearray(store.files[name])
    for _ in range(rng.choice((1, 8, 100))):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    whole = rng.random() < 0.5 and len(data) > 4 and "/c." in name
    store.files[name] = bytes(data[:-4]) + crc(bytes(data[:-4])) if whole else bytes(data)
    return f"{name} sealed={whole}"


def cut(store: Sealed, rng: random.Random) -> str:
    """A file is cut short, grows, empties or goes."""
    name = rng.choice(sorted(store.files))
    data = store.files.pop(name)
    kind = rng.choice(("cut", "grown", "empty", "gone", "other"))
    if kind == "other":
        store.files[name] = store.files[rng.choice(sorted(store.files))]
    elif kind != "gone":
        end = rng.randrange(len(data) + 1)
        store.files[name] = {"cut": data[:end], "grown": data + data[:end], "empty": b""}[kind]
    return f"{name} {kind}"


def root_text(store: Sealed, rng: random.Random) -> tuple[str, Raw]:
    """The root as text that no writer writes: sealed again where that can be done."""
    kind, text = rng.choice(ROOT_TEXTS)

    def write(folder: Path) -> None:
        path = folder / "zarr.json"
        made = text(path.read_bytes().decode(), rng)
        data = made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made
        path.write_bytes(data)

    return kind, write


def other_kind(store: Sealed, rng: random.Random) -> tuple[str, Raw]:
    """A file or directory is swapped for a link, a pipe or a directory."""
    kind = rng.choice(("link", "dangling", "loop", "fifo", "folder", "outside"))
    number = rng.randrange(10**6)

    def swap(folder: Path) -> None:
        places = sorted(folder.rglob("*"))
        place = places[number % len(places)]
        aside = folder.parent / "aside"
        if kind == "outside" and not aside.exists():
            os.rename(place, aside)
            place.symlink_to(aside)
            return
        if place.is_dir():
            os.rename(place, folder.parent / f"gone{number}")
        else:
            place.unlink()
        if kind == "fifo":
            os.mkfifo(place)
        elif kind == "folder":
            place.mkdir()
        else:
            target = {"dangling": "nowhere", "loop": place.name}.get(kind, "/etc/hostname")
            place.symlink_to(target)

    return f"{kind} {number}", swap


CHANGES: tuple[Callable[[Sealed, random.Random], Any], ...] = (
    *(values, values, values, values, lengths, lengths, flipped, cut),
    *(pending, settings, settings, format_2, format_2, attributes, attributes, metadata, row_count),
    *(root_text, other_kind),
)

_MOST = 2**31 - 1
SETTINGS: dict[str, tuple[Any, ...]] = {
    "layout": ("dense", "sparse", "auto"),
    "num_final_ltms": (0, 1, _MOST),
    "num_reminded_stm": (0, 1, _MOST),
    "stm_capacity": (0, 1, _MOST),
    "ltm_search_depth": (0, 1, _MOST),
    "random_entries": (0, 1, _MOST, "unreminded"),
    "initial_lifespan": (5e-324, 0.5, 2.0**52),
    "tie_break": ("hash", "oldest"),
    "seed": (0, 2**63 - 1),
    "wm_length": (1, 1_048_576),
    "rule": ("uniform:1e308", "correlation:1e300", "uniform:-1e15", "uniform:nan", "correlation:0"),
    "backbone": (
        "hash",
        "array",
        "hf:../../evil",
        "st:/etc",
        "x",
        "\x1b[31mred",
        "hf:" + "a" * 4000,
    ),
    "backbone_options": ({}, {"trust_remote_code": True}, {"device": "\x1b[2J"}, {"dtype": "x"}),
    "unit": ("line", "window:9999999", "paragraph"),
}


def _digits(text: str, rng: random.Random) -> str:
    number = rng.choice(
        ("9" * 5000, "1e999", "-1e999", "NaN", "Infinity", "1.0", "00", "1e5", "-0")
    )
    places = [match.span() for match in re.finditer(r"(?<=:)\d+", text)]
    start, end = rng.choice(places or [(0, 0)])
    return text[:start] + number + text[end:]


def _resealed(change: Callable[[str, random.Random], str]) -> Callable[[str, random.Random], Any]:
    def text(before: str, rng: random.Random) -> Any:
        made = change(before, rng)
        try:
            return reseal(json.loads(made))
        except (ValueError, RecursionError):
            return made

    return text


ROOT_TEXTS: tuple[tuple[str, Callable[[str, random.Random], Any]], ...] = (
    ("deep list", lambda text, rng: "[" * 100_000),
    ("deep closed", lambda text, rng: "[" * 100_000 + "]" * 100_000),
    ("deep object", lambda text, rng: '{"a":' * 100_000 + "1" + "}" * 100_000),
    ("deep inside", lambda text, rng: text.replace("{}", '{"a":' * 900 + "1" + "}" * 900, 1)),
    ("digits", _digits),
    ("digits sealed", _resealed(_digits)),
    ("doubled key", lambda text, rng: text.replace('"step":', '"step":1,"step":', 1)),
    ("byte order mark", lambda text, rng: "\ufeff" + text),
    ("utf-16", lambda text, rng: text.encode("utf-16")),
    ("not utf-8", lambda text, rng: text.encode()[:-1] + b"\xff}"),
    ("tail", lambda text, rng: text + rng.choice((" ", "x", "{}", "\0"))),
    ("cut", lambda text, rng: text[: rng.randrange(len(text))]),
    ("empty", lambda text, rng: ""),
    ("zeros", lambda text, rng: b"\0" * 5000),
    ("another value", lambda text, rng: json.dumps(rng.choice((None, 1, "x", [], [1, {}], {})))),
    ("surrogate", lambda text, rng: text.replace('"memoria"', '"memoria\ud800"', 1)),
)


def _at_random_place(document: Any, rng: random.Random) -> str:
    """One value of a JSON document is replaced, removed, doubled or renamed."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(document)
    node, key = rng.choice(places)
    kind = rng.choice(("set", "set", "set", "near", "remove", "more", "rename"))
    if kind == "near" and type(node[key]) in (int, float):
        node[key] = rng.choice((node[key] + 1, node[key] - 1, -node[key], node[key] * 2, 0))
    elif kind in ("set", "near"):
        node[key] = anything(rng)
    elif kind == "remove":
        del node[key]
    elif isinstance(node, list):
        node.insert(key, anything(rng) if kind == "more" else node[key])
    elif kind == "more":
        node[rng.choice(TEXTS)] = anything(rng)
    else:
        node[rng.choice(TEXTS)] = node.pop(key)
    return f"{kind} {key!r}"[:100]


def _spoiled(array: np.ndarray[Any, Any], rng: random.Random) -> str:
    """Change some values of ``array`` in place."""
    flat = array.reshape(-1)
    there = tuple(flat[[0, -1, len(flat) // 2]].tolist())
    if array.dtype.kind == "f":
        palette: tuple[Any, ...] = (*FLOATS, *there)
    elif array.dtype == np.uint8:
        palette = tuple(range(256))
    else:
        near = [value + step for value in there for step in (-1, 1)]
        palette = (*INTEGERS, *[n for n in near if -(2**63) <= n < 2**63])
    kind = rng.choice(("one", "few", "column", "all", "reverse", "sort", "shuffle", "climb"))
    with np.errstate(all="ignore"):
        if kind in ("one", "few"):
            for _ in range(1 if kind == "one" else 8):
                flat[rng.randrange(len(flat))] = rng.choice(palette)
        elif kind == "column" and array.ndim == 2:
            array[:, rng.randrange(array.shape[1])] = rng.choice(palette)
        elif kind in ("column", "all"):
            flat[rng.randrange(len(flat)) :] = rng.choice(palette)
        elif kind == "reverse":
            array[:] = array[::-1].copy()
        elif kind == "sort":
            flat.sort()
        elif kind == "shuffle":
            rng.shuffle(flat)
        elif array.dtype.kind == "i" and len(array) > 4:  # ascending, if differences overflow
            at = rng.randrange(1, len(array) - 3)
            array[at : at + 3] = np.array([2**63 - 1, -(2**63), -1]).reshape(
                (3,) + (1,) * (array.ndim - 1)
            )
    return kind
