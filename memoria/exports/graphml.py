"""GraphML: engrams as nodes, connections as directed edges. For networkx, yEd, Cytoscape, igraph.

Written as it comes, so that a graph of any size needs little memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from memoria.exports.content import Content
from memoria.exports.xml_text import ATTRIBUTES, element, values

__all__ = ["write_graphml"]

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8"?>\n' + (
    '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
)


def write_graphml(content: Content, out: Path) -> None:
    """Nodes have the engrams' ids and the fields of `memoria list`; edges weight, cofire_count."""
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        file.write(_HEAD)
        for name, kind in ATTRIBUTES.items():
            file.write(f'<key id="{name}" for="node" attr.name="{name}" attr.type="{kind}"/>\n')
        for name, kind in (("weight", "double"), ("cofire_count", "long")):
            file.write(f'<key id="{name}" for="edge" attr.name="{name}" attr.type="{kind}"/>\n')
        file.write('<graph edgedefault="directed">\n')
        for block in content.engrams():
            for document in content.view.documents(block):
                data = "".join(
                    f'<data key="{name}">{element(value)}</data>'
                    for name, value in values(document)
                )
                file.write(f'<node id="{document["id"]}">{data}</node>\n')
        for edges in content.edges():
            columns = (edges[name].tolist() for name in _EDGE)
            file.writelines(
                f'<edge source="{source}" target="{target}"><data key="weight">{weight!r}</data>'
                f'<data key="cofire_count">{count}</data></edge>\n'
                for source, target, weight, count in zip(*columns, strict=True)
            )
        file.write("</graph>\n</graphml>\n")


_EDGE: Final = ("source", "target", "weight", "cofire_count")
