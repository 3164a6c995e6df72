"""GraphML: engrams as nodes, connections as directed edges. For networkx, yEd, Cytoscape, igraph.

Written as it comes, so that a graph of any size needs little memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from memoria.exports.content import Columns, Content

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n' + (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
)
_NODE: Final = {  # fields of an engram and their types
    "lane": "long",
    "index": "long",
    "type": "string",
    "lifespan": "double",
    "age": "long",
    "fire_count": "long",
    "pinned": "boolean",
    "created_step": "long",
    "created_time": "string",
    "forgotten_step": "long",
    "text": "string",
    "source": "string",
    "offset": "long",
    "time": "long",
    "meta": "string",  # JSON
}
_EDGE: Final = {"weight": "double", "cofire_count": "long"}
# XML 1.0 has no way to write these, not even as references.
_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN: Final = re.compile(r"[\w .,:;!?'()/-]*", re.ASCII)  # needs no references: nearly all texts
_REFERENCES: Final = {"\r": "&#13;"}  # a parser would make a line feed of it


def write_graphml(content: Content, out: Path) -> None:
    """Nodes have the engrams' ids and the fields of `memoria list`; edges weight, cofire_count.

    What XML cannot hold becomes U+FFFD.
    """
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        file.write(_HEAD)
        for part, fields in (("node", _NODE), ("edge", _EDGE)):
            for name, kind in fields.items():
                file.write(
                    f'<key id="{name}" for="{part}" attr.name="{name}" attr.type="{kind}"/>\n'
                )
        file.write('<graph edgedefault="directed">\n')
        for block in content.engrams():
            file.write(_node_elements(content.view.columns(block)))
        for edges in content.edges():
            file.write(_edge_elements(edges))
        file.write("</graph>\n</graphml>\n")


def _node_elements(columns: Mapping[str, Sequence[Any] | npt.NDArray[Any]]) -> str:
    data = [_data_elements(name, columns[name]) for name in _NODE]
    rows = zip(columns["id"], map("".join, zip(*data, strict=True)), strict=True)
    return "".join([f'<node id="{id_}">{held}</node>\n' for id_, held in rows])


def _data_elements(name: str, values: Sequence[Any] | npt.NDArray[Any]) -> list[str]:
    """A field's element for each value; nothing for None."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    texts = map(_WRITE[_NODE[name]], values)
    head, tail = f'<data key="{name}">', "</data>"
    pairs = zip(values, texts, strict=True)
    return ["" if value is None else f"{head}{text}{tail}" for value, text in pairs]


def _edge_elements(edges: Columns) -> str:
    source, count = edges["source"], edges["cofire_count"]
    if len(source) == 0:
        return ""
    targets = list(map(str, edges["target"].tolist()))
    # Edges of one source and one count differ in their targets alone.
    first = np.flatnonzero(np.append(True, (np.diff(source) != 0) | (np.diff(count) != 0)))
    columns = (source, count, edges["weight"])
    rows = zip(*(column[first].tolist() for column in columns), strict=True)
    spans = pairwise([*first.tolist(), len(source)])
    elements: list[str] = []
    for (start, stop), (source_id, cofire_count, weight) in zip(spans, rows, strict=True):
        head = f'<edge source="{source_id}" target="'
        data = f'<data key="weight">{weight!r}</data><data key="cofire_count">{cofire_count}</data>'
        tail = f'">{data}</edge>\n'
        elements.append(f"{head}{f'{tail}{head}'.join(targets[start:stop])}{tail}")
    return "".join(elements)


def _text(value: str | dict[str, Any] | None) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if _PLAIN.fullmatch(text):
        return text
    return escape(_FORBIDDEN.sub("\ufffd", text), _REFERENCES)


# Numbers and booleans need no references.
_WRITE: Final[Mapping[str, Callable[[Any], str]]] = {
    "string": _text,
    "boolean": json.dumps,
    "long": str,
    "double": str,
}
