"""How texts are read: the choices of a user that decide what becomes one engram."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from memoria.io.units import parse_unit


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Which part of a text is one unit, and which fields of a record are read.

    Attributes:
        unit: sentence, paragraph, line, window:N or record.
        text_field: field of a record that holds its text, by path (``message.content``); None
            takes the first of `memoria.io.forms.records.TEXT_FIELDS` that is there.
        time_field: field that holds its time; None takes the first of ``TIME_FIELDS``.
        skip_bad: pass over records that cannot be read, and tell of them, instead of stopping.

    Raises:
        UsageError: an unknown unit.
    """

    unit: str = "sentence"
    text_field: str | None = None
    time_field: str | None = None
    skip_bad: bool = False

    def __post_init__(self) -> None:
        parse_unit(self.unit)

    def key(self) -> str:
        """What decides how a text is cut, as one line; "" for the defaults.

        The number of the rules for sentences is part of it, but for the first.
        """
        from memoria.io.sentences import RULES

        plain = asdict(ReadOptions())
        chosen = {name: value for name, value in asdict(self).items() if value != plain[name]}
        chosen.pop("skip_bad", None)
        if self.unit == "sentence" and RULES > 1:
            chosen["sentences"] = RULES
        return json.dumps(chosen, sort_keys=True) if chosen else ""


def as_options(unit: str | ReadOptions) -> ReadOptions:
    """The options that a unit alone stands for."""
    return unit if isinstance(unit, ReadOptions) else ReadOptions(unit)
