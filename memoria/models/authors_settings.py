"""Settings of memoria-pytorch's models under the names that they have here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from memoria.errors import ConfigError

_PREFIX: Final = "memoria_"
NAMES: Final[Mapping[str, str]] = {
    "memoria_num_memories": "num_memories",
    "memoria_num_reminded_stm": "num_reminded_stm",
    "memoria_num_reminded_ltm": "num_final_ltms",
    "memoria_stm_capacity": "stm_capacity",
    "memoria_ltm_search_depth": "ltm_search_depth",
    "memoria_initial_lifespan": "initial_lifespan",
    "memoria_lifespan_extend_scale": "lifespan_alpha",
    "memoria_reset_period": "reset_period",
    "memory_layer_index": "memory_layer",
}
_WITHOUT_EFFECT: Final = ("memoria_device",)  # the memory lives where the model does


def take_settings(values: dict[str, Any]) -> dict[str, Any]:
    """Take the authors' settings out of ``values``.

    Returns:
        Them by the names that they have here.

    Raises:
        ConfigError: one begins with ``memoria_`` and is not known.
    """
    taken = {}
    for name in [one for one in values if one in NAMES or one.startswith(_PREFIX)]:
        value = values.pop(name)
        if name in NAMES:
            whole = isinstance(value, float) and value.is_integer()
            taken[NAMES[name]] = int(value) if whole else value
        elif name not in _WITHOUT_EFFECT:
            hint = f"of memoria-pytorch are known {', '.join((*NAMES, *_WITHOUT_EFFECT))}"
            raise ConfigError(f"{name} = {value!r}: no such setting", hint)
    return taken
