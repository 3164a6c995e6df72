"""What ranking needs to know of a language: one table each. `NONE` turns all of it off."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from memoria.errors import ConfigError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000: Final = 253_402_300_800_000


@dataclass(frozen=True)
class Flag:
    """A sign that a text may give some kind of answer: one of some words, or a phrase.

    Attributes:
        words: matches whole words, in lower case; None: no single word is a sign.
        phrase: found in the text as it is written; None: there is none.
        within: matches whole words one of which every such phrase has; None: not known.
    """

    words: re.Pattern[str] | None = None
    phrase: re.Pattern[str] | None = None
    within: re.Pattern[str] | None = None


@dataclass(frozen=True)
class AnswerKind:
    """A kind of answer: what cues that ask for it have, and the flags, each counting once."""

    asked: re.Pattern[str]
    flags: tuple[Flag, ...]


@dataclass(frozen=True)
class Language:
    """The words of a language.

    Attributes:
        name: what settings call it.
        stop: words that say nothing of what a text is about, in lower case.
        stem: a word of lower case without its endings.
        months: names of the months, January first; empty: dates are not written out.
        kinds: kinds of answers by name.
    """

    name: str
    stop: frozenset[str] = frozenset()
    stem: Callable[[str], str] = str
    months: tuple[str, ...] = ()
    kinds: Mapping[str, AnswerKind] = field(default_factory=dict)

    @property
    def flags(self) -> list[Flag]:
        """The flags of all kinds, in order."""
        return [flag for kind in self.kinds.values() for flag in kind.flags]

    def date(self, time: int) -> str:
        """The day of ``time``, milliseconds since 1970, written out; "" without months."""
        if not self.months or not 0 <= time < _YEAR_10000:
            return ""
        day = _EPOCH + timedelta(milliseconds=time)
        return f"{day.day} {self.months[day.month - 1]}, {day.year}"


def date_and_time(time: int) -> str:
    """``time``, milliseconds since 1970, as ``2023-05-08 13:56``; "" beyond the year 9999."""
    if not 0 <= time < _YEAR_10000:
        return ""
    return (_EPOCH + timedelta(milliseconds=time)).strftime("%Y-%m-%d %H:%M")


def find_language(name: str) -> Language:
    """The table called ``name``. Raises `ConfigError`."""
    if name not in LANGUAGES:
        raise ConfigError(f"language = {name!r}: unknown", f"choose one of {', '.join(LANGUAGES)}")
    return LANGUAGES[name]


def _english_stem(word: str) -> str:
    word = word.removesuffix("'s")
    for ending in ("ingly", "edly", "ing", "ed", "ies", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)
_DAY_NAMES: Final = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_MONTH_NAMES: Final = "|".join(month.lower() for month in _MONTHS)
_YEAR: Final = r"19\d\d|20\d\d"
_SEASONS: Final = "spring|summer|autumn|fall|winter"
_SPANS: Final = "days?|weeks?|weekends?|months?|years?|nights?"


def _whole_words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(f"(?:{'|'.join(alternatives)})(?:'s)?")


def _words_in(*alternatives: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(alternatives)})\b", re.IGNORECASE)


_TIME = Flag(
    _whole_words(
        "yesterday|today|tonight|tomorrow|ago|last|next|past|recent|recently|since|just",
        "days?|weeks?|weekends?|months?|years?|hours?|morning|afternoon|evening|night",
        _DAY_NAMES,
        _MONTH_NAMES.replace("|may|", "|"),  # the verb is more frequent
        f"{_SEASONS}|{_YEAR}",
        "birthday|christmas|thanksgiving|halloween",
    )
)
_EXACT_TIME = Flag(
    _whole_words(f"yesterday|today|tonight|tomorrow|ago|{_YEAR}"),
    _words_in(
        rf"(?:last|next|this|past|a|few|two|three|couple of) (?:{_SPANS}|{_SEASONS}|{_DAY_NAMES})",
        f"on (?:{_DAY_NAMES})",
        f"in (?:{_MONTH_NAMES})",
    ),
    _whole_words(_SPANS, _SEASONS, _DAY_NAMES, _MONTH_NAMES),
)
_NUMBER = Flag(
    re.compile(
        r".*\d.*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|twenty"
        r"|thirty|forty|fifty|hundred|thousand|million|couple|once|twice"
    )
)
_PLACE = Flag(
    phrase=re.compile(
        r"\b(?:in|at|to|from|near|around|through|visit(?:ed|ing)?|of) (?:the )?[A-Z][a-z]+"
    ),
    within=re.compile("in|at|to|from|near|around|through|visit(?:ed|ing)?|of"),
)
_QUOTED = Flag(phrase=re.compile(r"[\"“][^\"”]{2,60}[\"”]"))
_CAPITAL = Flag(phrase=re.compile(r"(?<=[a-z,;] )[A-Z][a-z]+"))

_WHEN_ASKED = re.compile(
    r"^\W*(?:when|(?:what|which) (?:date|day|year|month)|what time)\b"
    r"|\bwhen (?:did|was|is|will|does|has)\b",
    re.IGNORECASE,
)
_NUMBER_ASKED = _words_in("how (?:many|much|long|old|often|far|tall|big)")
_WHERE_ASKED = _words_in(
    "where|(?:which|what) (?:city|cities|country|countries|state|places?|location)"
)
_TITLE_ASKED = _words_in(
    r"(?:which|what) (?:\w+ ){0,2}"
    "(?:books?|movies?|films?|songs?|games?|shows?|bands?|artists?|authors?|title)",
    "called|title",
)

NONE: Final = Language("none")
ENGLISH: Final = Language(
    "english",
    frozenset(
        "a an and are as at be been but by can could did do does for from had has have he her his"
        " how i if in into is it its me my no nor not of on or our she should so some such than"
        " that the their them then there these they this those to too us was we were what when"
        " where which who will with would you your s t".split()
    ),
    _english_stem,
    _MONTHS,
    {
        "when": AnswerKind(_WHEN_ASKED, (_TIME, _EXACT_TIME)),
        "number": AnswerKind(_NUMBER_ASKED, (_NUMBER,)),
        "where": AnswerKind(_WHERE_ASKED, (_PLACE,)),
        "title": AnswerKind(_TITLE_ASKED, (_QUOTED, _CAPITAL)),
    },
)
LANGUAGES: Final = {"english": ENGLISH, "none": NONE}
