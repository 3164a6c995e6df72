"""What happens to an engram, each rule stated once: born, gain, pin, hold, unpin, recall, forget.

An engram's expiry is the step at whose end it is forgotten; what it has left after ``step`` steps
is ``expiry - step``, so ageing needs no rule. The functions take numpy arrays or torch tensors of
float64 and give the same kind back.
"""

from __future__ import annotations

import sys
from typing import Any, Final, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from memoria.timeline.engram_type import EngramType
from memoria.timeline.lifespan import LONGEST
from memoria.timeline.log import ENDINGS, BoolArray, EventKind, Events, FloatArray, IntArray

# By kind of event: 1 pins an engram, 0 lets it age again, -1 leaves that as it was.
_TURNS: Final = np.full(max(EventKind) + 1, -1, np.int8)
_TURNS[EventKind.PIN] = 1
_TURNS[[EventKind.UNPIN, *ENDINGS]] = 0

KindArray: TypeAlias = npt.NDArray[np.integer[Any]]  # of `EventKind`, in any type
_Array = TypeVar("_Array")  # a numpy array or a torch tensor


def effective_gain(delta: _Array, pinned: Any) -> _Array:
    """Steps that ``delta`` adds to an expiry: a ``pinned`` engram loses nothing."""
    library = _library_of(delta)
    gains: _Array = library.where(pinned, library.clip(delta, 0.0, None), delta)
    return gains


def pin(expiry: _Array, step: Any) -> _Array:
    """Expiry of an engram that is pinned after ``step`` steps: whole steps, at most `LONGEST`."""
    library = _library_of(expiry)
    whole: _Array = library.clip(library.ceil(expiry), None, step + LONGEST)
    return whole


def carry(expiry: Any, steps: Any) -> Any:
    """Expiry of a pinned engram ``steps`` steps later, if it gains nothing: it moves along."""
    return expiry + steps


def hold(expiry: _Array, step: Any) -> _Array:
    """Expiry of a pinned engram at the end of a step, after its gain; ``step`` steps went before.

    What it gained is rounded up to whole steps again.
    """
    held: _Array = carry(pin(expiry, step), 1)
    return held


def happen(
    kinds: KindArray, expiry: FloatArray, pinned: BoolArray, steps: IntArray, values: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """What events of ``kinds`` after ``steps`` steps make of engrams; all arrays [N].

    Args:
        kinds: `EventKind` of each.
        expiry: expiry of each engram at that moment.
        pinned: whether it is pinned at that moment.
        steps: finished steps.
        values: steps gained by a RECALL.

    Returns:
        The expiry and whether each is pinned from then on.
    """
    turn = _TURNS[kinds]
    is_recall = kinds == EventKind.RECALL
    now = np.where(is_recall, expiry + effective_gain(values, pinned), expiry)
    now = np.where((kinds == EventKind.PIN) | (is_recall & pinned), pin(now, steps), now)
    now = np.where(np.isin(kinds, ENDINGS), steps.astype(np.float64), now)
    return now, np.where(turn < 0, pinned, turn > 0)


def pinned_through(kinds: KindArray, pinned: BoolArray, is_first: BoolArray) -> BoolArray:
    """Whether engrams are pinned after each of a run of changes; all arrays [N].

    Args:
        kinds: `EventKind` of each change, 0 for a firing; those of an engram follow each other.
        pinned: for the first change of each engram, whether it is pinned then; else not looked at.
        is_first: which changes are the first of their engram.
    """
    turn = np.where(is_first & (_TURNS[kinds] < 0), pinned, _TURNS[kinds])
    last = np.maximum.accumulate(np.where(is_first | (turn >= 0), np.arange(len(turn)), 0))
    return np.asarray(turn[last] > 0)


def pinned_after(events: Events) -> IntArray:
    """Ids of the engrams that are pinned after all ``events``, ascending."""
    turn = _TURNS[events.kinds]
    ids, turn = events.ids[turn >= 0], turn[turn >= 0]
    turned_ids, last = np.unique(ids[::-1], return_index=True)  # the first of the reversed
    return np.asarray(turned_ids[turn[::-1][last] > 0])


def displaced(expiry: FloatArray, pinned: BoolArray, capacity: int) -> IntArray:
    """Which of a lane's engrams go where more than ``capacity`` live; positions, ascending.

    Those that expire first, and of these the oldest; never a pinned one.

    Args:
        expiry: of the living, the oldest first, [M].
        pinned: whether each is pinned, [M].
        capacity: engrams that may stay.
    """
    excess = len(expiry) - capacity
    loose = np.flatnonzero(~pinned)
    if excess <= 0 or len(loose) == 0:
        return np.empty(0, np.int64)
    left = expiry[loose]
    most = np.partition(left, min(excess, len(loose)) - 1)[min(excess, len(loose)) - 1]
    due = np.flatnonzero(left <= most)  # with all that expire as the last of them
    first = np.argsort(left[due], kind="stable")[:excess]
    gone: IntArray = np.sort(loose[due[first]])
    return gone


def is_alive(expiry: Any, step: Any) -> Any:
    """Whether engrams are alive after ``step`` steps."""
    return expiry > step


def forgotten_in(expiry: FloatArray, since: IntArray, done: int) -> IntArray:
    """The step at whose end each engram was forgotten; 0 if not within ``done`` steps. All [N].

    It is the first step, not before step ``since`` that set the expiry, that the expiry does not
    exceed.
    """
    due = np.ceil(np.nan_to_num(expiry, nan=0.0)).clip(0, done + 1).astype(np.int64)
    gone = np.maximum(since, due)
    return np.where(gone > done, 0, gone)


def promote(types: _Array, stm_capacity: int) -> _Array:
    """The memories of engrams after a step, from those as it ends; [B, M], the oldest first.

    Working memory becomes short-term; the oldest short-term engrams above the capacity become
    long-term.
    """
    library, now = _library_of(types), cast(Any, types)
    short = (now == EngramType.WORKING) | (now == EngramType.SHORTTERM)
    before = short.cumsum(1)
    newer = before[:, -1:] - before + 1  # short-term from here on
    kinds = int(EngramType.SHORTTERM), int(EngramType.LONGTERM)
    promoted: _Array = library.where(short, library.where(newer > stm_capacity, *kinds[::-1]), now)
    return promoted


def memory_of(local_ids: IntArray, first_short: Any) -> npt.NDArray[np.uint8]:
    """The memory that engrams are in between steps: long-term below the lane's ``first_short``."""
    kinds = np.where(local_ids >= first_short, EngramType.SHORTTERM, EngramType.LONGTERM)
    return kinds.astype(np.uint8)


def _library_of(array: object) -> Any:
    """``numpy``, or ``torch`` for its tensors, which is loaded then."""
    name = type(array).__module__.partition(".")[0]
    return sys.modules["torch"] if name == "torch" else np
