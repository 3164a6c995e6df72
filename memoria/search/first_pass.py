"""How vectors lie in an index for the first look at very many, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from memoria.errors import ConfigError
from memoria.search.quantized import QuantizedRows
from memoria.search.signs import SignRows

FirstPassRows = QuantizedRows | SignRows

INT8: Final = "int8"
FIRST_PASSES: Final[Mapping[str, type[QuantizedRows] | type[SignRows]]] = MappingProxyType(
    {INT8: QuantizedRows, "binary": SignRows}
)


def find_first_pass(name: str) -> type[QuantizedRows] | type[SignRows]:
    """What the name stands for; raises `ConfigError`."""
    if name not in FIRST_PASSES:
        known = ", ".join(FIRST_PASSES)
        raise ConfigError(f"ask.first_pass = {name!r}: unknown", f"choose one of {known}")
    return FIRST_PASSES[name]


def bears(name: str, backbone: str) -> bool:
    """Whether vectors of the backbone keep what they say in this form."""
    return name == INT8 or backbone.partition(":")[0] != "hash"


def check_first_pass(name: str, backbone: str) -> None:
    """Raise `ConfigError` for a first pass that is unknown, or not for this backbone."""
    find_first_pass(name)
    if not bears(name, backbone):
        raise ConfigError(
            f"ask.first_pass = {name!r}: by signs alone a first look misses a third of the nearest "
            "vectors of 'hash'",
            f"ask.first_pass={INT8} misses none",
        )
