"""Which fonts of this machine can draw a text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

_FIRST: Final = "DejaVu Sans"  # comes with matplotlib
_LAST_RESORT: Final = "Last Resort"  # draws every character, as a box
_SHOWN: Final = 12  # characters of a note


class Fonts(NamedTuple):
    """Families for matplotlib, the first choice first, and the characters that none of them has."""

    families: tuple[str, ...]
    missing: str = ""


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Choose fonts that have all characters of ``texts``, as far as the machine has such fonts.

    DejaVu Sans comes first, and nothing is looked for where it is enough. Noto fonts are preferred
    to others; among equals the alphabet decides.
    """
    wanted = {one for text in texts for one in text if one.isprintable() and not one.isspace()}
    wanted = {one for one in wanted if ord(one) > 0x7F and not _is_mark(one)}
    families = [_FIRST]
    if wanted:
        wanted -= _characters(_file_of(_FIRST))
    for family, path in _others() if wanted else ():
        if found := wanted & _characters(path):
            families.append(family)
            wanted -= found
        if not wanted:
            break
    return Fonts(tuple(families), "".join(sorted(wanted)))


def missing_note(missing: str) -> str:
    """What a person is told of characters that no font has."""
    shown = missing[:_SHOWN] + ("…" if len(missing) > _SHOWN else "")
    return (
        f"no font of this machine has {shown}: drawn as boxes; "
        "install one, such as Noto Sans CJK or Noto Emoji"
    )


def _is_mark(one: str) -> bool:
    """Whether a character is not drawn by itself: joiners and selectors of variants."""
    return one in "\u200c\u200d" or "\ufe00" <= one <= "\ufe0f"


def _file_of(family: str) -> str:
    from matplotlib.font_manager import findfont

    return str(findfont(family))


def _others() -> Iterator[tuple[str, str]]:
    """Upright fonts of the machine as (family, file), each family once."""
    from matplotlib.font_manager import fontManager

    seen = {_FIRST}
    for entry in sorted(fontManager.ttflist, key=_preference):
        if entry.name not in seen and not entry.name.startswith(_LAST_RESORT):
            seen.add(entry.name)
            yield entry.name, entry.fname


def _preference(entry: Any) -> tuple[Any, ...]:
    plain = entry.style == "normal" and str(entry.weight) in ("400", "normal", "regular")
    noto = ("Noto Sans" in entry.name) + entry.name.startswith("Noto")
    return -noto, entry.name, not plain, entry.fname


@lru_cache(maxsize=64)
def _characters(path: str) -> frozenset[str]:
    """Those that a font file has; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(map(chr, FT2Font(os.fspath(path)).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()
