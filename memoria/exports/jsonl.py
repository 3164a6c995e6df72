"""JSON lines: one engram a line, with its text and its connections."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from memoria.exports.content import Content
from memoria.query.documents import records
from memoria.query.engram_table import EngramTable


def write_jsonl(content: Content, out: Path) -> None:
    """Lane by lane, from the oldest engram on.

    A line holds the fields of `memoria list`, which a store that steps through the lines takes
    back; ``connections`` [{id, weight, cofire_count}] from the strongest on; and with vectors
    ``vector``, whose numbers read back as the same float32.
    """
    with open(out, "w", encoding="ascii", newline="\n") as file:
        for lane in range(content.lanes):
            in_lane = content.table.take(content.table.lanes == lane)
            edges = _by_source(content, lane)
            ahead = next(edges, None)
            for block in content.engrams(in_lane):
                vectors = _numbers(content, block)
                for row, document in enumerate(content.view.documents(block)):
                    connections: list[dict[str, Any]] = []
                    if ahead is not None and ahead[0] == document["id"]:
                        connections, ahead = ahead[1], next(edges, None)
                    line = json.dumps({**document, "connections": connections}, allow_nan=False)
                    if vectors is not None:
                        line = f'{line[:-1]}, "vector": [{", ".join(vectors[row])}]}}'
                    file.write(line + "\n")


def _by_source(content: Content, lane: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """(engram, its connections) of all who have some, ascending."""
    for block in content.edges(lane):
        source = block["source"]
        if len(source) == 0:
            continue
        cuts = (np.flatnonzero(np.diff(source)) + 1).tolist()
        for start, stop in zip([0, *cuts], [*cuts, len(source)], strict=True):
            columns = {"id": block["target"][start:stop]}
            columns |= {name: block[name][start:stop] for name in ("weight", "cofire_count")}
            yield int(source[start]), records(columns)


def _numbers(content: Content, block: EngramTable) -> Any:
    """The vectors as the shortest decimals that read back the same, [n, D]; None without."""
    return content.view.vectors(block.ids).astype(str) if content.vectors else None
