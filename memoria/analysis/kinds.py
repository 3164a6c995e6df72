"""`KINDS` of analysis, each with its options, and `analyse`, which runs one.

The functions are imported when they run: help texts need this table and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from memoria.errors import InputError

if TYPE_CHECKING:
    from memoria.analysis.chronicle import Chronicle
    from memoria.analysis.result import Analysis


@dataclass(frozen=True)
class Option:
    """A number, a word or a list of ids that a kind takes.

    Attributes:
        default: its value unless given; None lets the kind decide.
        least: smallest number allowed.
        most: largest number, or longest list, allowed.
        words: the words allowed, where it is a word.
    """

    default: Any
    least: int | None = None
    most: int | None = None
    words: Sequence[str] = ()

    def check(self, name: str, value: Any) -> Any:
        """``value`` in the option's type. Raises `InputError`."""
        if self.words:
            if value not in self.words:
                raise InputError(f"{name} = {value!r}: unknown", f"known: {', '.join(self.words)}")
            return value
        if isinstance(self.default, bool):
            return bool(value)
        if isinstance(self.default, tuple):
            if self.most is not None and len(value) > self.most:
                raise InputError(f"{len(value)} {name}: at most {self.most}")
            return tuple(int(one) for one in value)
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise InputError(f"{name} = {value!r}: not a whole number")
        number = int(value)
        if self.least is not None and number < self.least:
            raise InputError(f"{name} = {number}: less than {self.least}")
        if self.most is not None and number > self.most:
            raise InputError(f"{name} = {number}: more than {self.most}")
        return number


@dataclass(frozen=True)
class Kind:
    """A kind of analysis.

    Attributes:
        name: by which users ask for it.
        module: of `memoria.analysis` that computes it.
        summary: what it shows, in a line.
        options: what the function takes beside the chronicle.
        function: its name, where it is not the kind's.
    """

    name: str
    module: str
    summary: str
    options: Mapping[str, Option]
    function: str = ""

    def run(self, chronicle: Chronicle, options: Mapping[str, Any]) -> Analysis:
        """The analysis with all of its ``options`` given."""
        module = import_module(f"memoria.analysis.{self.module}")
        function: Callable[..., Analysis] = getattr(
            module, self.function or self.name.replace("-", "_")
        )
        return function(chronicle, **options)

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The value of every option. Raises `InputError` for unknown ones and bad values."""
        for name in given:
            if name not in self.options:
                known = ", ".join(self.options)
                raise InputError(f"{self.name} takes no {name}", f"it takes {known}")
        values = {name: given.get(name) for name in self.options}
        return {
            name: option.default if values[name] is None else option.check(name, values[name])
            for name, option in self.options.items()
        }


_LANE: Final = Option(None, 0)
_ENGRAMS: Final = Option((), most=1000)
_SAMPLE: Final = {"sample": Option(None, 1), "seed": Option(0, 0)}

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                "survival",
                "over_steps",
                "share of engrams still alive, by step of creation: primacy and recency",
                {"lane": _LANE, "bins": Option(100, 1)},
            ),
            Kind(
                "contiguity",
                "connections",
                "connection weight by distance in creation time: temporal contiguity",
                {
                    "lane": _LANE,
                    "max_lag": Option(50, 1, most=2000),
                    "forgotten": Option(False),
                    "people": Option(False),
                    **_SAMPLE,
                },
            ),
            Kind(
                "reminded-age",
                "over_steps",
                "age of what is reminded, over the steps, by memory",
                {"lane": _LANE, "bins": Option(100, 1)},
            ),
            Kind(
                "raster",
                "lives",
                "which engrams fired in which steps",
                {
                    "lane": _LANE,
                    "first": Option(None, 1),
                    "last": Option(None, 1),
                    "engrams": Option(()),
                    "limit": Option(200, 1),
                    "by": Option("even", words=("even", "fired", "newest")),
                },
            ),
            Kind(
                "lifespans",
                "lives",
                "lifespans of some engrams over their lives",
                {
                    "lane": _LANE,
                    "engrams": _ENGRAMS,
                    "limit": Option(8, 1, most=1000),
                    "by": Option("lived", words=("lived", "fired")),
                },
            ),
            Kind(
                "connections",
                "connections",
                "weights of the connections among some engrams, as a matrix",
                {
                    "lane": _LANE,
                    "engrams": _ENGRAMS,
                    "limit": Option(50, 1, most=1000),
                    "by": Option("fired", words=("fired", "newest")),
                    "forgotten": Option(False),
                },
            ),
            Kind(
                "sizes",
                "over_steps",
                "engrams in working, short-term and long-term memory, over the steps",
                {"lane": _LANE, "bins": Option(500, 1)},
            ),
            Kind(
                "autocorrelation",
                "autocorrelation",
                "autocorrelation of long-term memory's firing, by lag",
                {"lane": _LANE, "max_lag": Option(None, 1, most=2000), **_SAMPLE},
            ),
            Kind(
                "map",
                "meaning",
                "engrams by meaning in two dimensions, with words on the parts of the map",
                {
                    "lane": _LANE,
                    "limit": Option(2000, 1, most=20_000),
                    "by": Option("even", words=("even", "fired", "newest")),
                    "forgotten": Option(False),
                    "colour": Option("memory", words=("memory", "age", "lifespan")),
                    "method": Option("auto", words=("auto", "pca", "umap")),
                },
                function="meaning_map",
            ),
        )
    }
)


def analyse(chronicle: Chronicle, kind: str, **options: Any) -> Analysis:
    """Compute one of `KINDS` from a memory's life.

    Args:
        chronicle: the life.
        kind: a name in `KINDS`.
        options: those of the kind; what is left out or None has the kind's default.

    Returns:
        Tables of numbers, with the options that made them.

    Raises:
        InputError: the kind, an option, a lane or an engram is unknown, or out of bounds.
    """
    if kind not in KINDS:
        raise InputError(f"kind = {kind!r}: unknown", f"known are {', '.join(KINDS)}")
    values = KINDS[kind].check(options)
    return replace(KINDS[kind].run(chronicle, values), options=values)
