"""Remember and correct texts: what a person, a program or an agent tells a memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from memoria.errors import InputError, StateError
from memoria.io.texts import literal_texts
from memoria.io.units import flatten
from memoria.store.texts import StoredTexts
from memoria.timeline.log import IntArray

if TYPE_CHECKING:
    from memoria.store.store import MemoryStore

MOST_UNITS: Final = 256  # of a text, which all fire together


def remember(
    store: MemoryStore,
    text: str,
    *,
    source: str | None = None,
    time: int | None = None,
    meta: Mapping[str, Any] | None = None,
    unit: str | None = None,
) -> IntArray:
    """Make the units of a text the working memory of one step; durable with the next `commit`.

    Args:
        store: a store of one lane, open for writing and between two steps.
        text: what is remembered.
        source: where it comes from; each engram has its offset there.
        time: its own time, milliseconds since 1970-01-01 UTC.
        meta: what stands beside every one of its engrams.
        unit: what part of the text becomes one engram; None: the store's.

    Returns:
        Ids of the engrams, int64 [W], in the order of the text.

    Raises:
        InputError: the text is empty, or of more than 256 units.
        StateError: the store has several lanes, or a step is under way.
    """
    config = store.config
    if config.lanes > 1:
        raise StateError(
            f"the store has {config.lanes} lanes, and a text is of one",
            "`memoria step` takes a text for each lane",
        )
    if not text.strip():
        raise InputError("the text is empty", "give some words")
    units = list(literal_texts([text], unit or config.unit))
    if len(units) > MOST_UNITS:
        raise InputError(
            f"the text has {len(units)} units, more than {MOST_UNITS}",
            "give it in parts, or `memoria step` the file",
        )
    vectors = np.asarray(store.backbone.encode([flatten(one.text) for one in units]), np.float32)
    count = len(units)
    first = store.files.created
    store.step(
        vectors[None],
        texts=[[one.text for one in units]],
        places=None if source is None else [[(source, one.offset) for one in units]],
        times=None if time is None else [[time] * count],
        meta=None if meta is None else [[dict(meta)] * count],
    )
    return np.arange(first, first + count)


def edit(
    store: MemoryStore, id: int, text: str | None = None, meta: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """Give the engram ``id`` another text, with its vector, or other values of its meta.

    Keys that ``meta`` does not name stay. Durable with the next `commit`.

    Args:
        store: a store open for writing and between two steps.
        id: the engram.
        text: its new text; None: as it is.
        meta: values of its meta that change; None: as it is.

    Returns:
        Its meta now; None where no ``meta`` is given.

    Raises:
        InputError: nothing is changed, the text is empty, or the engram is unknown or forgotten.
        StateError: a step is under way.
    """
    vector = None
    if text is not None and not text.strip():
        raise InputError("the text is empty", "`memoria forget` takes an engram away")
    if text is not None and store.config.backbone != "array":
        vector = np.asarray(store.backbone.encode([flatten(text)]), np.float32)[0]
    made = dict(meta) if meta else None
    if made is not None and 0 <= id < store.files.created:
        made = {**(StoredTexts(store.files).meta(np.array([id]))[0] or {}), **made}
    store.edit(id, text, vector, made)
    return made
