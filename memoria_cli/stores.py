"""From the STORE argument of a verb to the store, opened once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from memoria.errors import UsageError

if TYPE_CHECKING:
    from memoria.store import MemoryStore
    from memoria.store.memory_files import MemoryFiles


def split_store(store: str) -> tuple[str, int | str | None]:
    """Split a `StoreAt` argument into (path, at), for what opens with ``at=``.

    ``STORE@NAME`` is a snapshot, ``STORE@STEP`` a finished step; ``at`` is None for the present,
    and for anything that exists under the whole text.
    """
    from memoria.store.reading import split_moment

    return split_moment(store)


def require_present(store: str) -> str:
    """Refuse ``STORE@NAME`` and ``STORE@STEP`` where there is such a store."""
    if "@" in store:
        from memoria.chunkstore.root import is_store

        path, at = split_store(store)
        if at is not None and os.path.isdir(path) and is_store(Path(path)):
            raise UsageError(
                f"{store}: the past can only be read",
                f"leave out @{at}, or make a store of it with `memoria snapshot restore`",
            )
    return store


def load_memory_store(files: MemoryFiles, verb: str | None) -> MemoryStore:
    """The memory in opened ``files``; torch is imported here, so checks that need none go first.

    If it changes, the store records that ``verb`` did it, and at which step and event it began;
    None only reads.
    """
    from memoria.store import MemoryStore

    use_one_thread(files.config.backbone)
    store = MemoryStore(files)
    if verb is not None:
        store.begin_command(verb)
    return store


def use_one_thread(backbone: str = "array") -> None:
    """Let torch use one thread, unless a model runs or the user set ``OMP_NUM_THREADS``.

    The tensors of a step are small: waking a second thread for each costs more than it gains.
    """
    from memoria.backbones import runs_model

    if not runs_model(backbone) and "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)


# A store that is written to: the past is refused.
Store: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="STORE", help="The store's directory.", show_default=False, callback=require_present
    ),
]
# A store that is only read: open `split_store` of it.
StoreAt: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="STORE",
        help="The store's directory. STORE@NAME and STORE@STEP are its past: a snapshot, a step.",
        show_default=False,
    ),
]
