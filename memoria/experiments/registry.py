"""From an experiment's name to the experiment: the built-in ones, then installed entry points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from memoria.errors import ConfigError, MemoriaError
from memoria.experiments.base import Experiment

__all__ = ["EXPERIMENTS", "GROUP", "find_experiment"]

GROUP: Final = "memoria.experiments"
# A table of our own, so that a source tree without installed metadata works too.
_BUILT_IN: Final = {
    "sorting": "memoria.experiments.sorting.experiment:Sorting",
    "lm": "memoria.experiments.lm.experiment:LM",
    "classification": "memoria.experiments.classification.experiment:Classification",
    "engrams": "memoria.experiments.engrams.experiment:Engrams",
    "farrecall": "memoria.experiments.farrecall.experiment:FarRecall",
    "recall": "memoria.experiments.recall.experiment:Recall",
}


class _Experiments(Mapping[str, Experiment[Any]]):
    """Experiments by name, each imported when it is first asked for."""

    def __getitem__(self, name: str) -> Experiment[Any]:
        if name in _BUILT_IN:
            return _made(_BUILT_IN[name])
        entry = _entries().get(name)
        if entry is None:
            raise KeyError(name)
        try:
            found: Experiment[Any] = entry.load()()
        except MemoriaError:
            raise
        except Exception as error:  # somebody else's package: anything can go wrong
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise ConfigError(
                f"experiment {name!r} ({entry.value}) does not load: {reason}"
            ) from None
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(sorted({*_BUILT_IN, *_entries()}))

    def __len__(self) -> int:
        return len({*_BUILT_IN, *_entries()})


EXPERIMENTS: Final[Mapping[str, Experiment[Any]]] = _Experiments()


def find_experiment(name: str) -> Experiment[Any]:
    """The experiment called ``name``. Raises `ConfigError` that lists the known ones."""
    try:
        return EXPERIMENTS[name]
    except KeyError:
        known = ", ".join(EXPERIMENTS)
        raise ConfigError(f"experiment {name!r}: unknown", f"known are {known}") from None


@cache
def _made(place: str) -> Experiment[Any]:
    module, _, kind = place.partition(":")
    made: Experiment[Any] = getattr(import_module(module), kind)()
    return made


def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP) if entry.name not in _BUILT_IN}
