"""`KINDS` of analysis by name, and `analyse`, which runs one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from memoria.analysis.autocorrelation import AUTOCORRELATION
from memoria.analysis.choices import Kind
from memoria.analysis.chronicle import Chronicle
from memoria.analysis.contiguity import CONTIGUITY
from memoria.analysis.lifespans import LIFESPANS
from memoria.analysis.matrix import CONNECTIONS
from memoria.analysis.names import SUMMARIES
from memoria.analysis.raster import RASTER
from memoria.analysis.reminding import REMINDED_AGE
from memoria.analysis.result import Analysis
from memoria.analysis.sizes import SIZES
from memoria.analysis.survival import SURVIVAL
from memoria.errors import InputError

__all__ = ["KINDS", "analyse"]

_ALL: Final = (
    *(SURVIVAL, CONTIGUITY, REMINDED_AGE, RASTER, LIFESPANS, CONNECTIONS, SIZES),
    AUTOCORRELATION,
)
_BY_NAME: Final = {kind.name: kind for kind in _ALL}
KINDS: Final[Mapping[str, Kind]] = MappingProxyType({name: _BY_NAME[name] for name in SUMMARIES})


def analyse(chronicle: Chronicle, kind: str, **options: Any) -> Analysis:
    """What ``chronicle`` shows of one of `KINDS`; options left out or None are the kind's own.

    Raises `InputError` for an unknown kind, lane or engram, and for options it does not take.
    """
    if kind not in KINDS:
        raise InputError(f"kind = {kind!r}: unknown", f"known are {', '.join(KINDS)}")
    chosen = KINDS[kind]
    values = chosen.checked(options)
    return replace(chosen.run(chronicle, **values), options=values)
