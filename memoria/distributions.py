"""Notice of another distribution that installs the same package: `memoria-pytorch`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

_METADATA = "memoria_pytorch-"  # folders like memoria_pytorch-1.1.0.dist-info
_FILES = ("engram.py", "history_manager.py", "memoria.py")  # of its package; ours are one line
_ONE_LINE = 300  # bytes; theirs have thousands
_noticed = False


def notice_conflict(write: Callable[[str], object]) -> None:
    """Call ``write`` with one line if there is a mix of both distributions; once a process."""
    global _noticed
    if not _noticed:
        _noticed = True
        if (line := find_conflict()) is not None:
            write(line)


def find_conflict(package: str = os.path.dirname(__file__)) -> str | None:
    """Say in one line that `memoria-pytorch`, or one of its files in ``package``, is there too.

    Reads only the names in the folders of ``sys.path``: `importlib.metadata` would have to be
    imported first, which takes far longer.
    """
    version = _installed_version()
    files = (os.path.join(package, name) for name in _FILES)
    if version is None and not any(_size(file) > _ONE_LINE for file in files):
        return None
    return (
        f"memoria: memoria-pytorch{version or ''} is installed into the package of memoria-engrams;"
        " hint: pip uninstall memoria-pytorch, then reinstall memoria-engrams"
    )


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size
    except OSError:
        return 0


def _installed_version() -> str | None:
    for folder in sys.path:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for name in names:
            if name.startswith(_METADATA) and name.endswith((".dist-info", ".egg-info")):
                return " " + name[len(_METADATA) :].rpartition(".")[0]
    return None
