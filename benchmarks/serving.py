"""What a served memory bears: clients that ask `memoria serve` at once while one writes."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from benchmarks.options import parser
from benchmarks.processes import ROOT, scratch
from benchmarks.results import TableOf, finish, milliseconds, say, start, timing
from benchmarks.texts import sentences

NAME = "serving"
_QUESTIONS = 64  # different ones
_PATIENCE = 120  # seconds for an answer


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--engrams", type=int, help="texts in the memory (default 10,000)")
    made.add_argument("--clients", type=int, default=50, help="that ask at once")
    made.add_argument("--each", type=int, help="questions of each client (default 20)")
    made.add_argument("--backbone", default="hash", help="of the memory")
    made.add_argument("--directory", type=Path, help="where the store is built")
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    arguments = options().parse_args(words)
    arguments.engrams = arguments.engrams or (300 if arguments.quick else 10_000)
    arguments.each = arguments.each or (2 if arguments.quick else 20)
    document = start(arguments)
    with scratch(arguments.directory) as folder:
        say(f"building a memory of {arguments.engrams:,} texts")
        place = folder / "store"
        _build(place, arguments.engrams, arguments.backbone)
        document["served"] = []
        for clients, writes in ((1, False), (arguments.clients, False), (arguments.clients, True)):
            say(f"{clients} clients ask{', one writes' if writes else ''}")
            told = _served(place, clients, arguments.each, writes)
            document["served"].append({"clients": clients, "writing": writes, **told})
    finish(NAME, arguments, document, _tables(document))
    return document


def _build(place: Path, count: int, backbone: str) -> None:
    from memoria import MemoriaConfig
    from memoria.backbones import load_backbone
    from memoria.store import MemoryStore
    from memoria.store.asking import bring_up_index

    encoder = load_backbone(backbone)
    config = MemoriaConfig(
        backbone=encoder.name,
        hidden_dim=encoder.dimension,
        backbone_options=dict(encoder.options),
        backbone_fingerprint=encoder.fingerprint,
        wm_length=8,
    )
    known, random = sentences(), np.random.default_rng(0)
    with MemoryStore.create(place, config) as store:
        for first in range(0, count, 8):
            chosen = random.integers(0, len(known), min(8, count - first))
            texts = [f"{known[k]} Number {first + n}." for n, k in enumerate(chosen.tolist())]
            store.step(np.asarray(encoder.encode(texts), np.float32)[None], texts=[texts])
    bring_up_index(place)


def _served(place: Path, clients: int, each: int, writes: bool) -> dict[str, Any]:
    """Seconds of the answers, and of the writes, with what failed."""
    line = [sys.executable, "-m", "memoria_cli", "serve", str(place), "--port", "0", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            served = json.loads(process.stdout.readline())
            return _measured(served, clients, each, writes)
        finally:
            process.terminate()
            process.wait(_PATIENCE)


def _measured(served: dict[str, Any], clients: int, each: int, writes: bool) -> dict[str, Any]:
    asked: list[float] = []
    written: list[float] = []
    failures: list[str] = []
    done = threading.Event()
    questions = [quote(f"What is said of {text[:60]}?") for text in sentences()[:_QUESTIONS]]

    def ask(client: int) -> None:
        connection = http.client.HTTPConnection(served["host"], served["port"], timeout=_PATIENCE)
        for number in range(each):
            question = questions[(client * each + number) % len(questions)]
            _request(connection, "GET", f"/api/ask?question={question}", asked, failures)

    def write() -> None:
        connection = http.client.HTTPConnection(served["host"], served["port"], timeout=_PATIENCE)
        headers = {
            "Authorization": f"Bearer {served['token']}",
            "Content-Type": "application/json",
        }
        while not done.is_set():
            body = json.dumps({"text": f"This was written as number {len(written)}."})
            _request(connection, "POST", "/api/remember", written, failures, body, headers)
            done.wait(0.1)

    writer = threading.Thread(target=write)
    askers = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    began = time.perf_counter()
    for thread in (*askers, *([writer] if writes else [])):
        thread.start()
    for thread in askers:
        thread.join()
    wall = time.perf_counter() - began
    done.set()
    if writes:
        writer.join()
    return {
        "answers_a_second": len(asked) / wall,
        "ask": {**timing(asked), "p95_seconds": float(np.percentile(asked, 95))},
        "write": {**timing(written), "p95_seconds": float(np.percentile(written, 95))}
        if written
        else None,
        "failures": failures[:10],
    }


def _request(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    seconds: list[float],
    failures: list[str],
    body: str | None = None,
    headers: dict[str, str] | None = None,
) -> None:
    began = time.perf_counter()
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            failures.append(f"status {answer.status}")
    except OSError as error:
        failures.append(repr(error))
    seconds.append(time.perf_counter() - began)


def _tables(document: dict[str, Any]) -> list[TableOf]:
    columns = ("clients", "one writes", "answers/s", "ask ms", "p95 ms", "write p95 ms", "failures")
    rows = [
        [
            one["clients"],
            "yes" if one["writing"] else "no",
            one["answers_a_second"],
            milliseconds(one["ask"]),
            milliseconds(one["ask"], "p95_seconds"),
            milliseconds(one["write"], "p95_seconds"),
            len(one["failures"]),
        ]
        for one in document["served"]
    ]
    return [("clients that ask memoria serve at once", columns, rows)]
