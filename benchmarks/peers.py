"""`ask` beside other systems that find texts, on the same questions.

    python -m benchmarks peers --data FOLDER

FOLDER holds conversations in the form of LoCoMo, ``48.json`` to ``50.json`` and, with ``--split
dev``, the seven others. A turn is a text. Each peer runs as its authors publish it, in a virtual
environment of its own; those that use vectors get the same, of all-MiniLM-L6-v2, so seconds are
without encoding. What cannot be installed or fails is told as missing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.ask_confidence import SPLITS, Conversation, conversation, remember
from benchmarks.options import parser
from benchmarks.processes import HarnessError, elsewhere, made_environment, scratch
from benchmarks.results import TableOf, finish, milliseconds, say, start, timing
from benchmarks.texts import model_folder
from memoria.backbones import Backbone, load_backbone
from memoria.store.asking import Asking
from memoria.store.reading import open_files

NAME = "peers"
TOP = 10
_LANGCHAIN = ("langchain-classic", "langchain-community", "rank-bm25", "faiss-cpu")
PEERS: Mapping[str, tuple[str, ...]] = {  # what is installed for each
    "bm25s": ("bm25s", "PyStemmer"),
    "agentrecall": ("agentrecall-db", "numpy"),
    "agentrecall_vectors": ("agentrecall-db", "sqlite-vec", "numpy"),
    "langchain": _LANGCHAIN,
    "chromadb": ("chromadb",),
    "txtai": ("txtai",),
}
_LIMIT = 3600.0
_DRAWS = 2000  # of questions, for the intervals

Vectors = npt.NDArray[np.float32]


class Remembering:
    """A backbone that encodes no text twice, so that asking again is without encoding."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone
        self._known: dict[str, Vectors] = {}
        self._cues: dict[str, Vectors] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def encode(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._backbone.encode(new), strict=True))
        return np.stack([self._known[text] for text in texts])

    def encode_cues(self, texts: Sequence[str]) -> Vectors:
        new = [text for text in dict.fromkeys(texts) if text not in self._cues]
        if new:
            self._cues.update(zip(new, self._backbone.encode_cues(new), strict=True))
        return np.stack([self._cues[text] for text in texts])


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    document = start(arguments)
    files = [arguments.data / f"{name}.json" for name in SPLITS[arguments.split]]
    told = [conversation(file) for file in files if file.exists()]
    document["questions"] = sum(len(one.questions) for one in told)
    document["texts"] = sum(len(one.turns) for one in told)
    folder = model_folder()
    names = {"ask, static": "static", "ask, hash": "hash"}
    if folder is not None:
        names = {"ask, MiniLM": f"hf:{folder}", **names}
    rows: list[dict[str, Any]] = []
    for label, name in names.items():
        if label.partition(", ")[2] in arguments.ours.split(","):
            say(label)
            rows.append({"name": label, **_ours(told, load_backbone(name))})
    pythons = dict(one.split("=", 1) for one in arguments.python)
    chosen = [name for name in arguments.peers.split(",") if name]
    with scratch() as place:
        if chosen:
            encoder = load_backbone(f"hf:{folder}" if folder else "hash")
            data = _data(told, encoder, place)
        for name in chosen:
            say(name)
            rows.append({"name": name, **_peer(name, told, data, pythons.get(name))})
    document["rows"] = rows
    finish(NAME, arguments, document, [_table(document)])
    return document


def _ours(told: Sequence[Conversation], backbone: Backbone) -> dict[str, Any]:
    encoder: Any = Remembering(backbone)
    ranked, building, seconds = [], 0.0, []
    for one in told:
        encoder.encode(one.turns)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store"
            began = time.perf_counter()
            remember(one, path, encoder)
            with closing(open_files(path)) as files:
                asking = Asking(files, backbone=encoder)
                asking.bring_up()
                building += time.perf_counter() - began
                found = [asking.ask(question, TOP) for question, _ in one.questions]
                for question, _ in one.questions:
                    began = time.perf_counter()
                    asking.ask(question, TOP)
                    seconds.append(time.perf_counter() - began)
                ranked.append([answers.ids for answers in found])
    return {**judged(told, ranked), "build_seconds": building, **timing(seconds)}


def _peer(
    name: str, told: Sequence[Conversation], data: Path, python: str | None
) -> dict[str, Any]:
    try:
        python = python or made_environment(f"peer-{name}", PEERS[name])
        job = {"peer": name, "data": str(data)}
        answer = elsewhere("peer_harness.py", job, python, _LIMIT)
    except HarnessError as error:
        return {"missing": str(error)}
    return {
        "version": answer["version"],
        **judged(told, answer["ranked"]),
        "build_seconds": answer["build_seconds"],
        **timing(answer["ask_seconds"]),
    }


def _data(told: Sequence[Conversation], encoder: Backbone, place: Path) -> Path:
    """What `peer_harness.py` reads."""
    documents = []
    for number, one in enumerate(told):
        questions = [question for question, _ in one.questions]
        vectors = {"texts": encoder.encode(one.turns), "questions": encoder.encode(questions)}
        file = place / f"{number}.npz"
        np.savez(file, **vectors)
        documents.append({"texts": one.turns, "questions": questions, "vectors": str(file)})
    data = place / "data.json"
    data.write_text(json.dumps(documents), encoding="utf-8")
    return data


def judged(
    told: Sequence[Conversation], ranked: Sequence[Sequence[Sequence[int]]]
) -> dict[str, Any]:
    """Share of the evidence among the ten best, with its 95 % interval, and nDCG@10."""
    shares, gains = [], []
    for one, lists in zip(told, ranked, strict=True):
        for (_, evidence), best in zip(one.questions, lists, strict=True):
            hits = [at in evidence for at in best[:TOP]]
            shares.append(sum(hits) / len(evidence))
            ideal = sum(1 / np.log2(rank + 2) for rank in range(min(TOP, len(evidence))))
            gained = sum(1 / np.log2(rank + 2) for rank, hit in enumerate(hits) if hit)
            gains.append(float(gained / ideal))
    draws = np.random.default_rng(0).integers(0, len(shares), (_DRAWS, len(shares)))
    low, high = np.percentile(np.array(shares)[draws].mean(axis=1), [2.5, 97.5])
    return {
        "recall_10": float(np.mean(shares)),
        "interval": [float(low), float(high)],
        "ndcg_10": float(np.mean(gains)),
    }


def _table(document: Mapping[str, Any]) -> TableOf:
    rows: list[Sequence[object]] = []
    for row in document["rows"]:
        if "missing" in row:
            rows.append([row["name"], f"missing: {row['missing']}"])
            continue
        low, high = row["interval"]
        judged = row["recall_10"], f"{low:.3f} to {high:.3f}", row["ndcg_10"]
        spent = milliseconds(row), row["build_seconds"]
        rows.append([row["name"], row.get("version"), *judged, *spent])
    title = f"{document['questions']:,} questions to {document['texts']:,} turns"
    columns = ("", "version", "r@10", "95 %", "nDCG@10", "ms a question", "building s")
    return title, columns, [[*row, *[None] * (len(columns) - len(row))] for row in rows]


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--data", type=Path, required=True, help="folder of LoCoMo's conversations")
    made.add_argument("--split", choices=sorted(SPLITS), default="test", help="which of them")
    made.add_argument("--peers", default=",".join(PEERS), help="which, with commas")
    made.add_argument("--ours", default="MiniLM,static,hash", help="our backbones, with commas")
    made.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PEER=PYTHON",
        help="a Python that has the peer (default: a virtual environment in the cache folder)",
    )
    return made
