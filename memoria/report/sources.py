"""Where the engrams of a memory come from: how many of each source, and when they were made."""

from __future__ import annotations

from typing import Any

import numpy as np

from memoria.store.life import StepTable, fold
from memoria.store.memory_files import MemoryFiles
from memoria.store.reading import finished_view
from memoria.store.texts import StoredTexts


def sources_of(files: MemoryFiles) -> list[dict[str, Any]]:
    """Each source by name, with its living ``engrams`` and the steps of the first and the last.

    Those without a source are the one named "". In the order of the first step.
    """
    if files.attributes.pending.phase != "idle":
        files = finished_view(files)
    table = StepTable.read(files)
    life = fold(files, files.config, table)
    stored_texts = StoredTexts(files)
    numbers = stored_texts.where(life.ids)[:, 0]
    names = ["", *stored_texts.sources()]
    born = table.born(life.ids) + 1
    found = []
    for number in np.unique(numbers).tolist():
        there = born[numbers == number]
        found.append(
            {
                "source": names[number + 1],
                "engrams": len(there),
                "first": int(there.min()),
                "last": int(there.max()),
            }
        )
    return sorted(found, key=lambda one: (one["first"], one["source"]))
