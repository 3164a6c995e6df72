"""Does one memory hold all that another one does? Compared by digests, without reading vectors."""

from __future__ import annotations

from memoria.store.digest import chain_after
from memoria.store.life import StepTable
from memoria.store.memory_files import MemoryFiles
from memoria.store.texts import TextShelf

__all__ = ["common_steps", "contains"]

_PHASES = ("idle", "working", "reminded")


def contains(more: MemoryFiles, less: MemoryFiles) -> bool:
    """Whether ``more`` is ``less`` or goes on from it: nothing of ``less`` would be lost.

    That is: the same settings, every step and event of ``less``, and the step it has begun.
    """
    steps, others = StepTable.read(more), StepTable.read(less)
    done, events = len(others), less.events
    if more.config != less.config or len(steps) < done or more.events < events:
        return False
    if chain_after(more, steps, done, events) != chain_after(less, others, done, events):
        return False
    began = less.attributes.pending
    first = int(others.rows()[-1]) if done else 0
    last = less.created
    if began.phase == "idle":
        return True
    now = more.attributes.pending
    if len(steps) == done and (
        more.events > events
        or _PHASES.index(now.phase) < _PHASES.index(began.phase)
        or (began.phase == "reminded" and now.reminded != began.reminded)
    ):
        return False
    if more.created < last or more.attributes.era.rows > first:
        return False
    same_vectors = (more.new_vectors(first, last) == less.new_vectors(first, last)).all()
    texts = (TextShelf(files).content(first, last) for files in (more, less))
    return bool(same_vectors) and next(texts) == next(texts)


def common_steps(a: MemoryFiles, b: MemoryFiles) -> int:
    """How many steps both began with."""
    if a.config != b.config:
        return 0
    mine, others = StepTable.read(a).digests(), StepTable.read(b).digests()
    both = min(len(mine), len(others))
    differ = (mine[:both] != others[:both]).any(1)
    return int(differ.argmax()) if differ.any() else both
