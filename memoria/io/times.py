"""Dates and times as people and programs write them, to milliseconds since 1970 UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeGuard

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MOST: Final = 2**62
_NUMBER: Final = re.compile(r"[0-9]{9,19}(?:\.[0-9]+)?")
_SLASHED: Final = re.compile(r"(\d{4})[/.](\d{1,2})[/.](\d{1,2})(.*)", re.DOTALL)
_ISO_STARTS: Final = re.compile(
    r"\[?(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)\b"
)
# A number of seconds since 1970 is below this until the year 5138, one of milliseconds above it
# since 1973; below the second it counts milliseconds, as it always has here.
_SECONDS: Final = range(10**8, 10**11)


def parse_date(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 date, UTC unless it has an offset, or ValueError."""
    return _milliseconds(datetime.fromisoformat(text))


def read_time(value: Any) -> int | None:
    """Milliseconds since 1970 of what means a time; None for anything else, and before 1970.

    An ISO 8601 date (UTC unless it has an offset), also with slashes; the date of a mail; a
    number, or its digits: seconds, milliseconds, microseconds or nanoseconds since 1970, told
    apart by how great it is. Below 10^8 it is milliseconds.
    """
    if isinstance(value, str):
        return _of_text(value.strip())
    if isinstance(value, datetime):
        return _checked(_milliseconds(value))
    if isinstance(value, date):
        return _checked(_milliseconds(datetime(value.year, value.month, value.day)))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _of_number(value)


def leading_time(line: str) -> int | None:
    """The time that a line of a log begins with, bare or in a bracket; None where none does."""
    found = _ISO_STARTS.match(line)
    return None if found is None else _of_text(found[1].replace(",", "."))


def is_milliseconds(value: Any) -> TypeGuard[int]:
    """Whether it is a whole number that a store takes for a time."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def _of_text(text: str) -> int | None:
    if _NUMBER.fullmatch(text):
        return _of_number(float(text) if "." in text else int(text))
    if slashed := _SLASHED.fullmatch(text):
        year, month, day, rest = slashed.groups()
        text = f"{year}-{month:0>2}-{day:0>2}{rest}"
    try:
        return _checked(parse_date(text))
    except (ValueError, OverflowError):
        pass
    from email.utils import parsedate_to_datetime

    try:
        return _checked(_milliseconds(parsedate_to_datetime(text)))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _of_number(value: float) -> int | None:
    if not 0 <= value < _MOST:  # NaN too
        return None
    whole = int(value)
    if whole in _SECONDS:
        return round(value * 1000)
    if whole < 10**14:
        return whole
    return whole // 1000 if whole < 10**17 else whole // 10**6


def _milliseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // _MILLISECOND


def _checked(milliseconds: int) -> int | None:
    return milliseconds if 0 <= milliseconds < _MOST else None
