"""GEXF 1.2: engrams as nodes, connections as directed, weighted edges. For Gephi and networkx.

Written as it comes, so that a graph of any size needs little memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from memoria.exports.content import Content
from memoria.exports.xml_text import ATTRIBUTES, attribute, values

__all__ = ["write_gexf"]

_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<gexf xmlns="http://www.gexf.net/1.2draft" version="1.2">\n'
    '<graph mode="static" defaultedgetype="directed">\n'
)
_EDGE: Final = ("source", "target", "weight", "cofire_count")
_LABEL: Final = 40  # characters


def write_gexf(content: Content, out: Path) -> None:
    """Nodes have the engrams' ids, a label and the fields of `memoria list`; edges cofire_count."""
    with open(out, "w", encoding="utf-8", newline="\n") as file:
        file.write(_HEAD)
        file.write('<attributes class="node">\n')
        for name, kind in ATTRIBUTES.items():
            file.write(f'<attribute id="{name}" title="{name}" type="{kind}"/>\n')
        file.write('</attributes>\n<attributes class="edge">\n')
        file.write('<attribute id="cofire_count" title="cofire_count" type="long"/>\n')
        file.write("</attributes>\n<nodes>\n")
        for block in content.engrams():
            for document in content.view.documents(block):
                said = " ".join((document["text"] or "").split())[:_LABEL]
                data = "".join(
                    f'<attvalue for="{name}" value={attribute(value)}/>'
                    for name, value in values(document)
                )
                file.write(
                    f'<node id="{document["id"]}" label={attribute(said or str(document["id"]))}>'
                    f"<attvalues>{data}</attvalues></node>\n"
                )
        file.write("</nodes>\n<edges>\n")
        number = 0
        for edges in content.edges():
            columns = (edges[name].tolist() for name in _EDGE)
            for source, target, weight, count in zip(*columns, strict=True):
                file.write(
                    f'<edge id="{number}" source="{source}" target="{target}" weight="{weight!r}">'
                    f'<attvalues><attvalue for="cofire_count" value="{count}"/></attvalues>'
                    "</edge>\n"
                )
                number += 1
        file.write("</edges>\n</graph>\n</gexf>\n")
