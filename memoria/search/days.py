"""Days that a question names, and how soon after them texts were said.

What happened on a day is told on that day or in the few days after.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from memoria.search.languages import Language
from memoria.search.postings import IntArray
from memoria.search.quantized import Floats

AFTER: Final = 4  # days after which a text is not near a day any more
_SHORT: Final = 3  # letters of a month's short name
_ISO: Final = re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})\b")
_DOTTED: Final = re.compile(
    r"(?<![\w.])(?P<day>\d{1,2})\.\s?(?P<month>\d{1,2})\.(?:\s?(?P<year>\d{4})\b|(?![\w.]))"
)


class Day(NamedTuple):
    """A day of the calendar; year None: of any year."""

    year: int | None
    month: int
    day: int


def named_days(cue: str, language: Language) -> list[Day]:
    """The days in ``cue``: ``2023-05-08``, ``8.5.2023``, and with months of the language."""
    found = []
    for pattern in (_ISO, _DOTTED, *_with_months(language.months)):
        for one in pattern.finditer(cue):
            month = one["month"]
            number = int(month) if month.isdigit() else _month(month, language.months)
            year = int(one["year"]) if one["year"] else None
            found.append(Day(year, number, int(one["day"])))
    return list(dict.fromkeys(found))


def write_out(cue: str, language: Language) -> str:
    """``cue`` with days that stand there in figures as the language writes them, as texts have."""
    if not language.months:
        return cue

    def written(found: re.Match[str]) -> str:
        month = int(found["month"])
        if not found["year"] or not 1 <= month <= len(language.months):
            return found[0]
        return f"{int(found['day'])} {language.months[month - 1]}, {found['year']}"

    return _DOTTED.sub(written, _ISO.sub(written, cue))


def nearness(times: IntArray, days: list[Day]) -> Floats:
    """1 for a text of one of the ``days``, a quarter less for each day later, else 0, [n].

    ``times``: milliseconds since 1970, [n]; -1: not known.
    """
    near = np.zeros(len(times), np.float32)
    known = times >= 0
    told = times[known].astype("datetime64[ms]").astype("datetime64[D]")
    years = told.astype("datetime64[Y]").astype(np.int64) + 1970
    for day in days:
        of_years = np.unique(np.concatenate((years, years - 1))) if day.year is None else [day.year]
        for year in of_years:
            try:
                start = np.datetime64(f"{int(year):04}-{day.month:02}-{day.day:02}")
            except ValueError:  # no such day
                continue
            later = (told - start).astype(np.int64)
            found = np.where((later >= 0) & (later < AFTER), 1 - later / AFTER, 0)
            near[known] = np.maximum(near[known], found.astype(np.float32))
    return near


@cache
def _with_months(months: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    if not months:
        return ()
    names = {name.lower() for name in months} | {name[:_SHORT].lower() for name in months}
    month = rf"(?P<month>{'|'.join(sorted(names, key=len, reverse=True))})\b\.?"
    day = r"\b(?P<day>\d{1,2})(?:st|nd|rd|th|\.)?"
    year = r"(?:,?\s+(?P<year>\d{4})\b)?"
    return (
        re.compile(rf"{day}\s+(?:of\s+)?{month}{year}", re.IGNORECASE),
        re.compile(rf"\b{month}\s+{day}\b(?!\d){year}", re.IGNORECASE),
    )


def _month(name: str, months: tuple[str, ...]) -> int:
    short = name.lower()[:_SHORT]
    return next(at for at, one in enumerate(months, 1) if one.lower().startswith(short))
