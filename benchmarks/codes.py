"""What smaller vectors cost `ask`: int8 in the store, int8 or signs in the first look.

    python -m benchmarks codes --data FOLDER --backbones static,hash

FOLDER holds conversations in the form of LoCoMo, ``26.json`` to ``50.json``. A turn is a text. Told
are nDCG@10 and the evidence among the ten best, of `ask` and of the nearest vectors alone, and what
the first look over many vectors takes. Every text goes through the first look here, as it does in
memories of more than 8,192.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.ask_confidence import SPLITS, Conversation, conversation, remember
from benchmarks.options import fill, parser
from benchmarks.peers import Remembering, judged
from benchmarks.results import TableOf, finish, say, start
from benchmarks.texts import model_folder
from memoria.backbones import Backbone, load_backbone
from memoria.search.first_pass import FIRST_PASSES, bears
from memoria.search.quantized import unit
from memoria.store.asking import Asking
from memoria.store.reading import open_files
from memoria.store.store import MemoryStore

NAME = "codes"
TOP = 10
RESCORED = 40  # of the nearest vectors alone
CANDIDATES = 64  # that `ask` scores exactly for ten answers

Ids = list[list[int]]


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    fill(arguments, {"rows": (10_000, 1_000_000)})
    document = start(arguments)
    document["rows"], document["together"] = [], []
    for name in arguments.backbones.split(","):
        backbone: Any = Remembering(load_backbone(_place(name)))
        everything: list[Conversation] = []
        for split, names in SPLITS.items():
            files = [arguments.data / f"{one}.json" for one in names]
            told = [conversation(file) for file in files if file.exists()]
            if not told:
                continue
            everything += told
            say(f"{name}, {split}: {len(told)} conversations")
            for way, best in {**_asked(told, backbone), **_nearest(told, backbone)}.items():
                row = {"backbone": name, "split": split, "way": way, **judged(told, best)}
                document["rows"].append(row)
        document["together"] += [
            {"backbone": name, **one} for one in together(everything, backbone)
        ]
    say(f"{arguments.rows:,} vectors")
    document["first_look"] = _first_looks(arguments.rows, arguments.dimension)
    finish(NAME, arguments, document, _tables(document))
    return document


def _place(name: str) -> str:
    folder = model_folder() if name == "MiniLM" else None
    return f"hf:{folder}" if folder else name


def _asked(told: Sequence[Conversation], backbone: Backbone) -> dict[str, list[Ids]]:
    """What `ask` finds, by how vectors are kept."""
    found: dict[str, list[Ids]] = {}
    for one in told:
        with tempfile.TemporaryDirectory() as folder:
            whole, small = Path(folder) / "whole", Path(folder) / "small"
            remember(one, whole, backbone)
            remember(one, small, backbone, vector_dtype="int8")
            ways: list[tuple[str, Path, str | None]] = [
                ("ask", whole, None),
                ("ask, store int8", small, None),
                ("ask, first look int8", whole, "int8"),
            ]
            if bears("binary", backbone.name):
                ways += [
                    ("ask, first look binary", whole, "binary"),
                    ("ask, store int8, first look binary", small, "binary"),
                ]
            for way, path, first_pass in ways:
                if first_pass is not None:
                    with MemoryStore.open(path, "r+") as store:
                        store.change_settings({"ask": {"first_pass": first_pass}})
                exact = {} if first_pass is None else {"exact_texts": 0}
                with closing(open_files(path)) as files:
                    asking = Asking(files, backbone=backbone, **exact)
                    best = [asking.ask(question, TOP).ids for question, _ in one.questions]
                found.setdefault(way, []).append(best)
    return found


def _nearest(told: Sequence[Conversation], backbone: Any) -> dict[str, list[Ids]]:
    """The nearest vectors, by how these are kept."""
    found: dict[str, list[Ids]] = {}
    for one in told:
        turns = unit(backbone.encode(one.turns))
        asked = unit(backbone.encode_cues([question for question, _ in one.questions]))
        exact = asked @ turns.T
        found.setdefault("nearest", []).append(_best(exact))
        for name, made in FIRST_PASSES.items():
            rows = made(turns.shape[1])
            rows.append(turns)
            looked = rows.products(asked)
            found.setdefault(f"nearest, {name}", []).append(_best(looked))
            among = np.full_like(exact, -np.inf)
            first = np.argsort(-looked, axis=1, kind="stable")[:, :RESCORED]
            np.put_along_axis(among, first, np.take_along_axis(exact, first, 1), 1)
            way = f"nearest, {name}, {RESCORED} rescored"
            found.setdefault(way, []).append(_best(among))
    return found


def together(told: Sequence[Conversation], backbone: Any) -> list[dict[str, Any]]:
    """All turns as one memory: how much of the ten nearest is among the first look's best."""
    turns = unit(backbone.encode([turn for one in told for turn in one.turns]))
    questions = [question for one in told for question, _ in one.questions]
    asked = unit(backbone.encode_cues(questions))
    found = []
    for name, made in FIRST_PASSES.items():
        rows = made(turns.shape[1])
        rows.append(turns)
        inside = []
        for first in range(0, len(asked), 64):
            part = asked[first : first + 64]
            nearest = _best(part @ turns.T)
            looked = np.argsort(-rows.products(part), axis=1, kind="stable")[:, :CANDIDATES]
            inside += [
                len({*near} & {*best.tolist()}) / TOP
                for near, best in zip(nearest, looked, strict=True)
            ]
        found.append({"texts": len(turns), "kept": name, "inside": float(np.mean(inside))})
    return found


def _best(scores: npt.NDArray[Any]) -> Ids:
    best: Ids = np.argsort(-scores, axis=1, kind="stable")[:, :TOP].tolist()
    return best


def _first_looks(count: int, dimension: int) -> list[dict[str, Any]]:
    """What it takes to look at ``count`` vectors for a question of two cues."""
    random = np.random.default_rng(0)
    asked = unit(random.standard_normal((2, dimension)).astype(np.float32))
    looks = []
    for name, made in {"float32": None, **FIRST_PASSES}.items():
        rows = None if made is None else made(dimension)
        whole = np.empty((count if rows is None else 0, dimension), np.float32)
        for first in range(0, count, 10_000):
            part = random.standard_normal((min(10_000, count - first), dimension), np.float32)
            if rows is None:
                whole[first : first + len(part)] = part
            else:
                rows.append(part)
        if rows is None:
            look, size = (lambda whole=whole: asked @ whole.T), whole.nbytes
        else:
            look, size = (
                (lambda rows=rows: rows.products(asked)),
                sum(column.nbytes for column in rows.arrays),
            )
        looks.append({"kept": name, "bytes": size, "processor_seconds": _seconds(look)})
    return looks


def _seconds(look: Callable[[], Any], repeats: int = 5) -> float:
    """The least processor time of some."""
    spent = []
    for _ in range(repeats):
        began = time.process_time()
        look()
        spent.append(time.process_time() - began)
    return min(spent)


def _tables(document: dict[str, Any]) -> list[TableOf]:
    wide = [
        [row["backbone"], row["split"], row["way"], row["ndcg_10"], row["recall_10"]]
        for row in document["rows"]
    ]
    looks = [
        [one["kept"], one["bytes"] / 1e6, 1000 * one["processor_seconds"]]
        for one in document["first_look"]
    ]
    inside = [list(one.values()) for one in document["together"]]
    title = f"the ten nearest of all texts that are among {CANDIDATES} of the first look"
    settings = document["settings"]
    return [
        ("by how vectors are kept", ("backbone", "split", "", "nDCG@10", "r@10"), wide),
        (title, ("backbone", "texts", "", "share"), inside),
        (
            f"a first look at {settings['rows']:,} vectors of {settings['dimension']} numbers",
            ("", "MB", "processor ms"),
            looks,
        ),
    ]


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--data", type=Path, required=True, help="folder of LoCoMo's conversations")
    made.add_argument("--backbones", default="static,MiniLM,hash", help="which, with commas")
    made.add_argument("--rows", type=int, help="vectors of the first look (default 1,000,000)")
    made.add_argument("--dimension", type=int, default=384, help="numbers of each of them")
    return made
