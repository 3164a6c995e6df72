"""GraphML: engrams as nodes, connections as directed edges. For networkx, yEd, Cytoscape, igraph.

Written as it comes, so that a graph of any size needs little memory.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from memoria.exports.content import Content

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
            for document in content.view.documents(block):
                data = "".join(
                    f'<data key="{name}">{_text(document[name])}</data>'
                    for name in _NODE
                    if document.get(name) is not None
                )
                file.write(f'<node id="{document["id"]}">{data}</node>\n')
        for edges in content.edges():
            columns = (edges[name].tolist() for name in ("source", "target", *_EDGE))
            file.writelines(
                f'<edge source="{source}" target="{target}"><data key="weight">{weight!r}</data>'
                f'<data key="cofire_count">{count}</data></edge>\n'
                for source, target, weight, count in zip(*columns, strict=True)
            )
        file.write("</graph>\n</graphml>\n")


def _text(value: str | float | bool | dict[str, Any]) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return escape(_FORBIDDEN.sub("\ufffd", text), _REFERENCES)
