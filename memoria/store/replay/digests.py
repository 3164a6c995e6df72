"""The log of a store read again, each step checked against its digest. Torch-free."""

from __future__ import annotations

import os
from contextlib import closing

from memoria.io.progress import Progress, progress_bar
from memoria.store.digest import chain_over_events, next_digest
from memoria.store.past import past_view
from memoria.store.reading import open_files
from memoria.store.replay.report import Difference, Replay
from memoria.store.replay.steps import logged_steps, steps_there
from memoria.store.texts import TextShelf

__all__ = ["replay_log"]


def replay_log(
    path: str | os.PathLike[str],
    first: int | None = None,
    last: int | None = None,
    at: int | str | None = None,
    progress: Progress | bool = False,
) -> Replay:
    """Read steps ``first`` to ``last`` and compare the digest of each with the one it left.

    That the log is what it was when each step ended: not that the steps would come out so again,
    which `recompute` tells. Raises `InputError` for steps that are not there.
    """
    with (
        closing(open_files(path, at)) as files,
        progress_bar(progress, "replaying", "steps") as show,
    ):
        begin, end = steps_there(files, first, last)
        found = Replay(0, begin, end, [], [])
        if end < begin:
            return found
        shelf = TextShelf(files)
        before = past_view(files, begin - 1)
        chain = bytes.fromhex(before.attributes.digest)
        for step in logged_steps(files, begin, end, before.events):
            chain = chain_over_events(chain, files, *step.happened)
            chain = next_digest(chain, files, shelf, step.rows, step.entries, step.first_short)
            found.steps += 1
            if chain != step.digest:
                found.note(step.number, [Difference(step.number, None, "digest", [], [])], False)
                chain = step.digest
            show(found.steps, end - begin + 1)
        return found
