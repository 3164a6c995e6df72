"""Progress of long calls: one callback type, and a tqdm bar for ``progress=True``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

# Called as progress(done, total); total is 0 while it is unknown.
Progress = Callable[[int, int], None]


_Item = TypeVar("_Item")
_SHOWN_EVERY: Final = 4096  # items


def no_progress(done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def progress_bar(progress: Progress | bool, description: str, unit: str) -> Iterator[Progress]:
    """Turn the ``progress`` argument of a long call into a callback.

    Args:
        progress: a callback, which is yielded as it is; True for a tqdm bar on stderr (a widget in
            a notebook), which closes with the block, also on an error; False for nothing.
        description: what is going on, in front of the bar ("replaying").
        unit: what is counted, in the plural ("steps").
    """
    if progress is False:
        yield no_progress
    elif progress is True:
        from tqdm.auto import tqdm

        with tqdm(desc=description, unit=f" {unit}") as bar:

            def show(done: int, total: int) -> None:
                bar.total = total or None
                bar.update(done - bar.n)

            yield show
    else:
        yield progress


def counted(items: Iterable[_Item], progress: Progress, total: int) -> Iterator[_Item]:
    """``items``, of which ``progress`` is told now and then how many have been taken."""
    for done, item in enumerate(items):
        if done % _SHOWN_EVERY == _SHOWN_EVERY - 1:
            progress(done, total)
        yield item
