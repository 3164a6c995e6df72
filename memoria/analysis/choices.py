"""What every kind of analysis shares: its options, lanes, and the steps drawn as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from memoria.analysis.chronicle import Chronicle
from memoria.analysis.names import SUMMARIES
from memoria.analysis.result import Analysis
from memoria.errors import InputError
from memoria.timeline.firing_log import IntArray

__all__ = [
    "MEMORY_NAMES",
    "Bins",
    "Kind",
    "Option",
    "after_compaction",
    "checked_lane",
    "chosen_places",
    "in_lane",
    "sentences",
    "step_window",
]

# Names of the memories by `EngramType`.
MEMORY_NAMES: Final = np.array(["forgotten", "working", "shortterm", "longterm"])


@dataclass(frozen=True)
class Option:
    """A number, a word or a list of ids that a kind takes. None: the kind decides by itself."""

    default: Any
    least: int | None = None
    most: int | None = None
    words: Sequence[str] = ()


@dataclass(frozen=True)
class Kind:
    """A kind of analysis, one of `SUMMARIES`: the function, and what it takes."""

    name: str
    run: Callable[..., Analysis]
    options: Mapping[str, Option] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """What it shows, in a line."""
        return SUMMARIES[self.name]

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every option's value. Raises `InputError` for what is unknown or out of bounds."""
        for name in given:
            if name not in self.options:
                known = ", ".join(self.options)
                raise InputError(f"{self.name} takes no {name}", f"it takes {known}")
        return {
            name: _checked(name, given[name], option)
            if given.get(name) is not None
            else option.default
            for name, option in self.options.items()
        }


def _checked(name: str, value: Any, option: Option) -> Any:
    if option.words:
        if value not in option.words:
            raise InputError(f"{name} = {value!r}: unknown", f"known: {', '.join(option.words)}")
        return value
    if isinstance(option.default, bool):
        return bool(value)
    if isinstance(option.default, tuple):
        if option.most is not None and len(value) > option.most:
            raise InputError(f"{len(value)} {name}: at most {option.most}")
        return tuple(int(one) for one in value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InputError(f"{name} = {value!r}: not a whole number")
    if option.least is not None and value < option.least:
        raise InputError(f"{name} = {value}: less than {option.least}")
    if option.most is not None and value > option.most:
        raise InputError(f"{name} = {value}: more than {option.most}")
    return int(value)


def checked_lane(chronicle: Chronicle, lane: int | None) -> int | None:
    """``lane``, if there is such a one. Raises `InputError`."""
    if lane is not None and not 0 <= lane < chronicle.lanes:
        known = f"the lanes are 0 to {chronicle.lanes - 1}"
        raise InputError(f"lane = {lane}: there is none", known)
    return lane


def in_lane(chronicle: Chronicle, lane: int | None) -> npt.NDArray[np.bool_]:
    """Which engrams are of the lane; None: of any."""
    if checked_lane(chronicle, lane) is None:
        return np.ones(len(chronicle), np.bool_)
    mine: npt.NDArray[np.bool_] = chronicle.lane == lane
    return mine


def chosen_places(chronicle: Chronicle, engrams: Sequence[int], lane: int | None) -> IntArray:
    """The places of engrams by id, each once, ascending. Raises `InputError`."""
    places = np.unique(chronicle.places(np.array(engrams, np.int64)))
    elsewhere = places[~in_lane(chronicle, lane)[places]]
    if len(elsewhere):
        place = int(elsewhere[0])
        raise InputError(
            f"engram {chronicle.ids[place]}: is of lane {chronicle.lane[place]}, not of {lane}"
        )
    return places


def step_window(chronicle: Chronicle, first: int | None, last: int | None) -> tuple[int, int]:
    """The steps to look at, all unless given; (1, 0) where there are none. Raises `InputError`."""
    done = chronicle.steps
    begin, end = 1 if first is None else first, done if last is None else last
    if (begin, end) != (1, 0) and not 1 <= begin <= end <= done:
        known = f"the steps are 1 to {done}" if done else "there are no steps yet"
        raise InputError(f"steps {begin} to {end}: not there", known)
    return begin, end


def after_compaction(chronicle: Chronicle) -> str:
    """What to say where the steps before the last compaction are left out."""
    if chronicle.first_step == 1:
        return ""
    return f"compaction removed the log of steps 1 to {chronicle.first_step - 1}"


def sentences(*parts: str) -> str:
    """Those that are not empty, as one note."""
    return "; ".join(part for part in parts if part)


@dataclass(frozen=True)
class Bins:
    """Steps ``first`` to ``last`` in ``count`` runs of ``width`` steps; the last may be shorter."""

    first: int
    last: int
    width: int

    @classmethod
    def of(cls, first: int, last: int, most: int) -> Bins:
        """As few steps a run as make at most ``most`` runs."""
        return cls(first, last, max(1, -(-(last - first + 1) // most)))

    @property
    def count(self) -> int:
        """How many runs there are."""
        return max(0, -(-(self.last - self.first + 1) // self.width))

    @property
    def starts(self) -> IntArray:
        """The first step of each run."""
        return self.first + self.width * np.arange(self.count)

    @property
    def ends(self) -> IntArray:
        """The last step of each run."""
        return np.minimum(self.starts + self.width - 1, self.last)

    def of_steps(self, steps: IntArray) -> IntArray:
        """The run that each step lies in."""
        return (steps - self.first) // self.width

    @property
    def note(self) -> str:
        """What to say of runs longer than a step."""
        return f"steps in runs of {self.width}" if self.width > 1 else ""
