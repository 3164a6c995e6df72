"""Write the inventories of this folder: where other projects document what our pages name.

Sphinx reads them in place of a download. ``$`` in an address stands for the name.
"""

from __future__ import annotations

import zlib
from pathlib import Path

FUNCTIONS = "library/functions.html#$"
TYPES = "library/stdtypes.html#$"
ABSTRACT = "library/collections.abc.html#$"
NUMPY = "reference/generated/$.html"
NAMES = {  # project and version: name, role, address
    ("python", "3.14"): [
        *((name, "class", FUNCTIONS) for name in ("bool", "float", "int", "object")),
        *((name, "class", TYPES) for name in ("bytes", "dict", "list", "str", "tuple")),
        *(
            (f"collections.abc.{name}", "class", ABSTRACT)
            for name in ("Callable", "Iterable", "Iterator", "Mapping", "Sequence")
        ),
        ("pathlib.Path", "class", "library/pathlib.html#$"),
        ("enum.IntEnum", "class", "library/enum.html#$"),
        *(
            (name, "exception", "library/exceptions.html#$")
            for name in ("Exception", "IndexError", "TypeError", "ValueError")
        ),
    ],
    ("numpy", "2.4"): [("numpy.ndarray", "class", NUMPY)],
    ("torch", "2.13"): [
        ("torch.Tensor", "class", "tensors.html#$"),
        ("torch.device", "class", "tensor_attributes.html#$"),
        ("torch.nn.Module", "class", "generated/torch.nn.Module.html#$"),
    ],
}


def write(project: str, version: str, names: list[tuple[str, str, str]]) -> None:
    """One inventory in Sphinx's format 2."""
    head = (
        "# Sphinx inventory version 2\n"
        f"# Project: {project}\n# Version: {version}\n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = [f"{name} py:{role} 1 {address} -\n" for name, role, address in names]
    data = head.encode() + zlib.compress("".join(lines).encode(), 9)
    (Path(__file__).parent / f"{project}.inv").write_bytes(data)


if __name__ == "__main__":
    for (project, version), names in NAMES.items():
        write(project, version, names)
