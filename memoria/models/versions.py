"""Which releases of transformers the models with memory work with; it imports none of them."""

from __future__ import annotations

from typing import Final

from memoria.errors import MemoriaError

_TESTED: Final = ((5, 23), (5, 24))  # first and last; pyproject.toml says the same


def untested_release(version: str) -> MemoriaError | None:
    """The refusal of a transformers whose models were not tried with a memory in them.

    Layers and their arguments change between minor releases, and a memory on a changed layer can
    be silently wrong.

    Returns:
        The error to raise, which says what to install; None for a release that was tested.
    """
    first, last = _TESTED
    found = tuple(int(part) for part in version.split(".")[:2])
    if first <= found <= last:
        return None
    return MemoriaError(
        f"transformers {version}: models with memory work with {first[0]}.{first[1]} to "
        f"{last[0]}.{last[1]}",
        f"pip install 'transformers>={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}'",
    )
