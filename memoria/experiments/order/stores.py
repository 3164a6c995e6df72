"""What a store tells of the time of segments: it has read a book, and is asked each as a question.

Of the engram that answers best counts one clue, the greater the later it is said to have come:

- creation: its id. Engrams are numbered in order of creation.
- age: steps since its creation, negative. Engrams of one step are of one age.
- lifespan: steps left.
- direction: which of the two leads to the other more, by P(j fires | i fires). Co-fire counts have
  no direction, so on a walk of any length over connections a leads to b more than b to a just if a
  has fired less often than b: the clue is the fire count.

Whether more of a clue means later or earlier is chosen on pairs for choosing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from memoria.backbones import Backbone
from memoria.experiments.books import Book
from memoria.experiments.evidence.memories import memory_config
from memoria.store import MemoryStore
from memoria.store.life import StepTable, fold

Floats = NDArray[np.float64]

CLUES: Final = ("creation", "age", "lifespan", "direction")


def store_clues(
    book: Book,
    segments: Sequence[str],
    clue: str,
    *,
    backbone: Backbone,
    settings: Mapping[str, Any],
    width: int,
) -> Floats:
    """The clue of each of ``segments`` [N]; NaN where nothing is remembered.

    Args:
        book: what the store reads, sentence by sentence.
        segments: texts to ask with.
        clue: one of `CLUES`.
        backbone: what makes vectors.
        settings: of the store's memory.
        width: sentences of a step.
    """
    config = memory_config(backbone, settings)
    with (
        tempfile.TemporaryDirectory(prefix="memoria-order-") as folder,
        MemoryStore.create(Path(folder) / "memory", config) as store,
    ):
        vectors = backbone.encode(list(book.sentences))
        for at in range(0, len(vectors), width):
            store.step(vectors[at : at + width], texts=book.sentences[at : at + width])
        store.commit()
        answers = [store.ask(text, top=1).ids for text in segments]
        life = fold(store.files, config, StepTable.read(store.files))
    values = {
        "creation": life.ids,
        "age": life.born,
        "lifespan": life.lifespan(),
        "direction": life.fires,
    }[clue]
    of_id = dict(zip(life.ids.tolist(), values.tolist(), strict=True))
    return np.array([float(of_id[ids[0]]) if ids else np.nan for ids in answers])
