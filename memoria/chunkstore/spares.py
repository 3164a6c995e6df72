"""Files that a commit has replaced, kept to be written over by the next one.

To make a file, let it take the place of another and give that one's blocks back costs a file
system several times as much as to write over blocks that a file has already. So a writer that
commits again and again keeps of each array the file that it replaced last, under a temporary name.

Only a file that nobody can miss is written over: the commit that replaced it was durable, it has
no other name, and no reader holds the lease.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from memoria.chunkstore.disk import Disk
from memoria.chunkstore.garbage import TEMPORARY

_OTHER: Final = ".old" + TEMPORARY


@dataclass(frozen=True)
class Swap:
    """A file about to be written as ``temporary`` and renamed to ``target``.

    ``replaces``: the target holds committed rows. ``over``: the temporary file is a spare one.
    """

    temporary: Path
    target: Path
    replaces: bool
    over: bool


class Spares:
    """The spare file of each directory of a store, as one writer knows them."""

    def __init__(self) -> None:
        self._spare: dict[Path, Path] = {}
        self._replaced: dict[Path, Path] = {}  # by the commit that is under way
        self._again = False  # a writer that commits once has no use for spare files

    def swap(self, target: Path, replaces: bool) -> Swap:
        """How to write ``target``: over a spare file of its directory if there is one."""
        spare = self._spare.pop(target.parent, None)
        return Swap(spare or temporary(target), target, replaces, spare is not None)

    def switch(self, disk: Disk, swap: Swap) -> None:
        """Rename what was written to its target. What that was becomes a spare file."""
        if swap.replaces and self._again:
            first, second = temporary(swap.target), swap.target.with_name(swap.target.name + _OTHER)
            other = second if swap.temporary == first else first
            with contextlib.suppress(OSError):  # not every file system has links: do without
                disk.link(swap.target, other)
                self._replaced[other.parent] = other
        disk.rename(swap.temporary, swap.target)

    def committed(self) -> None:
        """The commit is durable: what it replaced may be written over."""
        self._spare |= self._replaced
        self._replaced = {}
        self._again = True

    def drop(self, disk: Disk, below: Iterable[Path] | None = None) -> None:
        """Remove the spare files, or those of the directories ``below``."""
        for files in (self._spare, self._replaced):
            for directory in list(files if below is None else below):
                spare = files.pop(directory, None)
                if spare is not None:
                    with contextlib.suppress(OSError):  # garbage does no harm
                        disk.remove(spare)


def temporary(path: Path) -> Path:
    """The name under which ``path`` is written first."""
    return path.with_name(path.name + TEMPORARY)
