"""Fit and judge the confidence of answers: does anything here answer the question?

    python -m benchmarks ask_confidence --data FOLDER --backbone static

FOLDER holds conversations in the form of LoCoMo, ``26.json`` to ``50.json``. Each conversation is
asked its own questions, and as many of the other conversations. Fitted on dev, judged on both
splits; `memoria/search/confidence.py` holds the constants that come out.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.options import parser
from benchmarks.results import finish, say, start
from memoria.backbones import Backbone, load_backbone
from memoria.config import MemoriaConfig
from memoria.search.confidence import UNSURE
from memoria.search.ranked import Ranked
from memoria.store.asking import Asking
from memoria.store.reading import open_files
from memoria.store.store import MemoryStore

SPLITS = {"dev": "26 30 41 42 43 44 47".split(), "test": "48 49 50".split()}
NAMES = ("start", "bare", "whole", "share", "unknown")
TOP = 10
FOREIGN = 200  # questions of other conversations that each is asked, at most

Floats = npt.NDArray[np.float64]


@dataclass
class Conversation:
    """Turns of one conversation, with their sessions, and questions with the turns that answer."""

    turns: list[str]
    sessions: list[int]
    times: list[int | None]
    questions: list[tuple[str, set[int]]]


def conversation(path: Path) -> Conversation:
    """Read a file of LoCoMo; questions without evidence that is there are left out."""
    told = json.loads(path.read_text(encoding="utf-8"))
    made, at = Conversation([], [], [], []), {}
    for number in sorted(int(key[8:]) for key in told if re.fullmatch(r"session_\d+", key)):
        for turn in told[f"session_{number}"]:
            at[turn["dia_id"]] = len(made.turns)
            caption = turn.get("blip_caption")
            shares = f" [shares {' '.join(caption.split())}]" if caption else ""
            made.turns.append(f"{turn['speaker']}: {' '.join(turn['text'].split())}{shares}")
            made.sessions.append(number)
            made.times.append(moment(told.get(f"session_{number}_date_time", "")))
    for one in told["qa"]:
        named = re.findall(r"D:?(\d+):(\d+)", " ".join(one.get("evidence", [])))
        keys = [f"D{int(a)}:{int(b)}" for a, b in named]
        if any(key in at for key in keys):
            made.questions.append((str(one["question"]), {at[key] for key in keys if key in at}))
    return made


def moment(text: str) -> int | None:
    """Milliseconds since 1970 of ``1:56 pm on 8 May, 2023``."""
    try:
        read = datetime.strptime(text, "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(read.timestamp() * 1000)


def remember(told: Conversation, path: Path, backbone: Backbone, **settings: Any) -> None:
    """A store of the conversation, in working memories of one session each."""
    own = {"hidden_dim": backbone.dimension, "backbone": backbone.name}
    config = MemoriaConfig.preset("keep", **own, **settings)
    vectors = backbone.encode(told.turns)
    with MemoryStore.create(path, config) as store:
        first = 0
        while first < len(told.turns):
            last, session = first, told.sessions[first]
            while last < min(first + 8, len(told.turns)) and told.sessions[last] == session:
                last += 1
            part = slice(first, last)
            places = [(f"session_{session}", number) for number in range(first, last)]
            store.step(vectors[part], None, told.turns[part], places=places, times=told.times[part])
            first = last


def evidence(split: Sequence[Conversation], backbone: Backbone) -> Iterator[tuple[Any, ...]]:
    """(its own question?, number of the question, raw parts of an answer, is it one?)."""
    draw, number = np.random.default_rng(0), 0
    for told in split:
        with tempfile.TemporaryDirectory() as folder:
            remember(told, Path(folder) / "store", backbone)
            others = [one for other in split if other is not told for one in other.questions]
            count = min(len(others), len(told.questions), FOREIGN)
            chosen = draw.choice(len(others), count, replace=False) if count else []
            asked = [(True, *one) for one in told.questions]
            asked += [(False, others[at][0], set()) for at in chosen]
            with closing(open_files(Path(folder) / "store")) as files:
                asking = Asking(files)
                for is_own, question, right in asked:
                    found = asking.ranked(question, TOP)
                    for row, answers in zip(raw_parts(found), found.texts.tolist(), strict=True):
                        yield is_own, number, row, answers in right
                    number += 1


def raw_parts(found: Ranked) -> Floats:
    """What `Calibration` weighs, [k, 5]."""
    ones = np.ones(len(found.texts))
    parts = (ones, *found.cosines, found.shares, ones * found.unknown)
    return np.stack(parts, axis=1).astype(np.float64)


@dataclass
class Evidence:
    """Answers as columns: see `evidence`."""

    own: npt.NDArray[np.bool_]
    question: npt.NDArray[np.int64]
    rows: Floats
    right: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, split: Sequence[Conversation], backbone: Backbone) -> Evidence:
        own, question, rows, right = zip(*evidence(split, backbone), strict=True)
        return cls(np.array(own), np.array(question), np.array(rows), np.array(right))

    def weights(self) -> Floats:
        """Own questions and others count a half each."""
        shares = np.where(self.own, 0.5 / max(1, self.own.sum()), 0.5 / max(1, (~self.own).sum()))
        return shares.astype(np.float64)


def fit(seen: Evidence, rounds: int = 50) -> Floats:
    """Logistic regression with a slight ridge, by Newton's method, [5]."""
    weights, x = seen.weights(), seen.rows
    ridge = np.diag([0.0, *[1e-4] * (x.shape[1] - 1)]) + 1e-12 * np.eye(x.shape[1])
    found = np.zeros(x.shape[1])
    for _ in range(rounds):
        sure = 1 / (1 + np.exp(-x @ found))
        slope = x.T @ (weights * (sure - seen.right)) + ridge @ found
        found = found - np.linalg.solve((x.T * (weights * sure * (1 - sure))) @ x + ridge, slope)
    return found


def judge(seen: Evidence, fitted: Floats) -> dict[str, float]:
    """How well the greatest confidence of a question's answers tells own questions from others."""
    sure = 1 / (1 + np.exp(-seen.rows @ fitted))
    count = int(seen.question.max()) + 1
    best, own, hit = np.zeros(count), np.zeros(count, bool), np.zeros(count, bool)
    np.maximum.at(best, seen.question, sure)
    own[seen.question] = seen.own
    np.logical_or.at(hit, seen.question, seen.right)
    ranks = np.argsort(np.argsort(best)) + 1
    pairs = own.sum() * (~own).sum()
    above = ranks[own].sum() - own.sum() * (own.sum() + 1) / 2
    return {
        "auroc": float(above / pairs),
        "foreign_refused": float((best[~own] < UNSURE).mean()),
        "right_hidden": float((best[own & hit] < UNSURE).mean()),
    }


def main(words: Sequence[str] | None = None) -> Path:
    arguments = options().parse_args(words)
    document: dict[str, Any] = start(arguments)
    backbone = load_backbone(arguments.backbone)
    seen = {}
    for split, names in SPLITS.items():
        files = [arguments.data / f"{name}.json" for name in names]
        say(f"{split}: {sum(file.exists() for file in files)} conversations")
        told = [conversation(file) for file in files if file.exists()]
        seen[split] = Evidence.of(told, backbone)
    fitted = fit(seen["dev"])
    document["fitted"] = dict(zip(NAMES, fitted.round(2).tolist(), strict=True))
    document["judged"] = {split: judge(one, fitted) for split, one in seen.items()}
    rows = [[split, *values.values()] for split, values in document["judged"].items()]
    tables = [
        (f"fitted on dev, {arguments.backbone}", NAMES, [fitted.round(2).tolist()]),
        ("judged", ("split", *document["judged"]["dev"]), rows),
    ]
    return finish("ask_confidence", arguments, document, tables)


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, "ask_confidence")
    made.add_argument("--data", type=Path, required=True, help="folder of LoCoMo's conversations")
    made.add_argument("--backbone", default="hash", help="what encodes turns and questions")
    return made
