"""Where sentences end, in many scripts: by rules, so that a text has the same units for ever.

A script's own marks (the danda, the ideographic full stop ...) end a sentence wherever they stand.
A full stop may belong to an abbreviation, an initial, a number or an ordinal; words of many
languages are known for that, and where languages disagree the words around decide which it is.
Rules look at one paragraph only. They are `RULES` by number: `memoria.io.read_options` keeps it
with what was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

RULES: Final = 1  # to be counted up when the same text comes apart elsewhere

_FULL: Final = "。！？｡"  # of Chinese and Japanese
# Devanagari and its relatives, Urdu, Arabic, Armenian, Ethiopic, Burmese, Khmer, Tibetan,
# Mongolian, Ol Chiki, Meetei Mayek, Canadian syllabics; double and mixed marks.
_OWN: Final = "।॥۔؟։።፧፨။។៕༎᠃᠉᱾᱿꯫᙮‼⁇⁈⁉‽"
_CLOSING: Final = "\"'”’»)\\]*_`“‘«‹›"
_CLOSED_ABROAD: Final = "»«“‘‹›"  # quotes that close in other languages than English
_LATIN: Final = rf"(?<![.!?…])[.!?…]++(?:[{_CLOSING}]|[ \u00a0\u202f]»(?=\s|\Z))*+(?=\s|\Z)"
_OTHERS: Final = (
    rf"|(?<![{_FULL}])[{_FULL}]++[」』”’）)\]]*+"
    rf"|(?<![{_OWN}])[{_OWN}]++(?:[०-९]+॥)?[{_CLOSING}]*+"
    r"|(?<=[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af])[!?]++(?=[\u3040-\u30ff\u3400-\u9fff])"
    r"|፡፡|།(?=\s|\Z)"
    r"|(?<=[\u0561-\u0587]):(?=\s|\Z)"  # Armenian, typed with a colon
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff])[;\u037e][»”\"]*(?=\s|\Z)"  # Greek asks with it
)
_SPACE: Final = r"|(?<=[\u0e00-\u0e7f])[ \t]+(?=[\u0e00-\u0e7f])"  # Thai parts sentences with it
_MARKS: Final = rf".!?…{_FULL}{_OWN}፡།:;\u037e"
# Three patterns, as the tests of the last are slow: looking ahead for a mark first saves most.
_END_ASCII: Final = re.compile(_LATIN)
_END: Final = re.compile(rf"(?=[{_MARKS}])(?:{_LATIN}{_OTHERS})")
_END_THAI: Final = re.compile(rf"(?=[ \t{_MARKS}])(?:{_LATIN}{_OTHERS}{_SPACE})")
_THAI: Final = re.compile(r"[\u0e00-\u0e7f]")
_QUOTED_ON: Final = ("と", "って", "という")  # Japanese goes on behind a quotation
_THAI_LEAST: Final = 15  # letters of a sentence in Thai
_THAI_JOINS: Final = tuple(
    "และ หรือ ที่ ซึ่ง แต่ โดย เพราะ เพื่อ ว่า กับ ของ ใน จาก ให้ เป็น คือ ได้แก่ เช่น อัน ถ้า เมื่อ จึง ก็ ๆ ฯ"
    .split()
)  # fmt: skip

_NEVER_LAST: Final = frozenset(
    "mr mrs ms mx dr prof rev fr gen col maj lt sgt cpt capt cmdr adm gov sen rep hon pres mt ft st"
    " messrs mme mlle vs viz cf e.g i.e eg ie resp incl approx ca al"
    # German, Dutch, Scandinavian
    " bzw nr str abb hr dipl ing inkl exkl evtl ggf vgl sog geb gest hrsg allg bes kap dhr mevr"
    " bijv blz dvs tlf"
    # French, Spanish, Portuguese, Italian
    " mm env dra srta dña núm pág págs av avda exmo exma sig dott avv pag"
    # Polish, Czech, Turkish
    " np ul tzn tj św zob godz např tzv mj örn sn"
    # Russian and Ukrainian
    " ул им стр рис см акад проф напр пер обл св гл т.е т.к т.н тов вул ім див"
    # Hindi, Arabic, Persian, Thai
    " डॉ प्रो श्री पं स्व कु د أ ص دكتور ดร".split()
)
_LAST_BEFORE_CAPITAL: Final = frozenset(
    "etc inc ltd co corp plc llc jr sr ph.d m.d b.a m.a b.c a.d a.m p.m dept est univ assn ave blvd"
    " rd bros min max misc orig"
    " usw enz osv ecc itd itp vb sra tel"
    " др пр руб коп тыс млн млрд т.д т.п н.э гг рр вв".split()
)
_NOT_LAST_BEFORE_DIGIT: Final = frozenset(
    "no nos nr fig figs vol vols p pp ch chap sec sect eq eqs art app ex tab jan feb mar apr jun"
    " jul aug sep sept oct nov dec par"
    " abs bd tel febr okt dez janv févr avr juil déc ene abr ago dic ст п".split()
)
_COUNTED: Final = frozenset("mio mrd jh".split())
_ARTICLES: Final = frozenset("el la al del los las un una o a ao à do da este esta".split())
_AFTER_NUMBER: Final = frozenset("г в р с".split())  # 1999 г.: the year, the century
_ET_CETERA: Final = re.compile(r"(?:^|\s)(?:и|і|та|в)\s+(?:т|д)\.?\s*(?:д|п|ін)\Z", re.IGNORECASE)
_OUR_ERA: Final = re.compile(r"\bн\.\s*[эе]\Z", re.IGNORECASE)

_NUMBER_ROOM: Final = 32  # characters in which the number of a list stands alone
_LOOKED_AT: Final = 2_000  # characters of a paragraph that tell its language
_ROMAN: Final = re.compile(r"[IVXLC]{1,6}")
_WORD: Final = re.compile(r"[^\W\d_]+")
_ENGLISH: Final = frozenset(
    "the and of to is that it was he she you with for on as have this be are by from they i".split()
)
_GERMAN: Final = frozenset(
    "der das und ist nicht ein eine einen mit von zu den dem auf für im er sie es ich wir hat wurde"
    " wird sich auch als bei nach am zum zur über oder aus dass".split()
)
# Words that begin a sentence rather than follow an ordinal.
_STARTERS: Final = frozenset(
    "der die das ein eine er sie es wir ich ihr man dann danach dort hier heute gestern aber doch"
    " und oder denn also so wenn als nach seit bei im in an auf mit von zu für vor dies diese"
    " dieser dieses jetzt nun später außerdem trotzdem deshalb meine mein sein seine ihre unsere"
    " was wer wie wo warum wann nein ja nicht alle viele beide".split()
)


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Starts and ends of the sentences of the paragraph text[start:end], white space around them
    included, without gaps.
    """
    begin = start
    marks = _END_ASCII
    if not text.isascii():
        marks = _END_THAI if _THAI.search(text, start, end) else _END
    for match in marks.finditer(text, start, end):
        stop = match.end()
        if stop < end and not _ends_sentence(text, match.start(), stop, begin, start, end):
            continue
        yield begin, stop
        begin = stop
    if begin < end:
        yield begin, end


def _ends_sentence(text: str, mark: int, stop: int, begin: int, first: int, end: int) -> bool:
    """Whether the marks text[mark:stop] end the sentence that began at ``begin``.

    The paragraph is text[first:end].
    """
    sign = text[mark]
    if sign in _FULL:
        quoted = text[stop - 1] in "」』"
        return not (quoted and text.startswith(_QUOTED_ON, stop))
    if sign in " \t":
        return _ends_in_thai(text, mark, stop, begin)
    if sign not in ".!?…":
        return True
    following = _next_visible(text, stop, end)
    closed = text[stop - 1] not in ".!?…"
    if text[stop - 1] in _CLOSED_ABROAD and following.islower():
        return False
    if sign in "!?":
        return not (closed and following.islower())
    if sign == "…" or text[mark : mark + 2] == ".." or (stop - mark > 1 and not closed):
        return not following.islower()
    if closed and stop - mark > 1 and text[stop - 1] not in _CLOSED_ABROAD:
        return not following.islower()
    return _full_stop_ends(text, mark, stop, begin, first, end, following)


def _full_stop_ends(
    text: str, mark: int, stop: int, begin: int, first: int, end: int, following: str
) -> bool:
    head = text[max(begin, mark - 32) : mark]
    before = head.split()
    word = before[-1].lstrip("\"'“‘«([{*_„») ") if before else ""
    lower = word.lower()
    if lower in _NEVER_LAST:
        return False
    if word and "\u0e00" <= word[-1] <= "\u0e7f":  # Thai has no full stop
        return False
    if len(word) == 1 and word.isalpha():
        return _letter_ends(head, before, word, following)
    if lower in _NOT_LAST_BEFORE_DIGIT:
        return not following.isdigit()
    if lower in ("sr", "sra") and (len(before) < 2 or before[-2].lower() in _ARTICLES):
        return False  # el Sr. Pérez, but Bush Sr.
    if lower in _COUNTED:
        return _next_word(text, stop, end) in _STARTERS
    if lower in _LAST_BEFORE_CAPITAL:
        return following.isupper()
    if "." in word and all(len(part) == 1 for part in word.split(".")):  # U.S., z.B.
        return False
    if word.isdigit() or _ROMAN.fullmatch(word):
        is_short = word.isdigit() and len(word) <= 3 and mark - begin <= _NUMBER_ROOM
        if is_short and text[begin:mark].strip() == word:
            return False  # the number of a list
        return not _is_ordinal(text, stop, first, end, word, following)
    return True


def _letter_ends(head: str, before: list[str], word: str, following: str) -> bool:
    """Whether a full stop behind a single letter ends a sentence: mostly it is an initial."""
    if word == "I" or word.lower() == "я" or word.upper() == word.lower():
        return True
    if not following.isupper():
        return False
    number = before[-2] if len(before) > 1 and word.lower() in _AFTER_NUMBER else ""
    if number.isdigit() or _ROMAN.fullmatch(number):
        return True
    return bool(_ET_CETERA.search(head) or _OUR_ERA.search(head))


def _is_ordinal(text: str, stop: int, first: int, end: int, word: str, following: str) -> bool:
    """Whether a number with a full stop counts what comes next, as in German: am 3. Mai."""
    if len(word) > 3 and not following.islower():
        return False
    english, german = _language_words(text[first : min(end, first + _LOOKED_AT)])
    if english > german:
        return False
    if following.islower():
        return german > english or english == 0
    if german <= english or not following.isupper():
        return False
    return _next_word(text, stop, end) not in _STARTERS


@lru_cache(maxsize=16)
def _language_words(text: str) -> tuple[int, int]:
    """How many words of a text are common ones of English, and of German."""
    words = [one.lower() for one in _WORD.findall(text)]
    return sum(one in _ENGLISH for one in words), sum(one in _GERMAN for one in words)


def _next_word(text: str, start: int, end: int) -> str:
    found = _WORD.search(text, start, end)
    return found[0].lower() if found else ""


def _ends_in_thai(text: str, mark: int, stop: int, begin: int) -> bool:
    """Whether a space between Thai letters parts two sentences: both are long enough."""
    if mark - begin < _THAI_LEAST or text.startswith(_THAI_JOINS, stop):
        return False
    before = text[max(begin, mark - 64) : mark].split()
    if before and before[-1] in _THAI_JOINS:
        return False
    following = re.match(r"[\u0e00-\u0e7f]+", text[stop : stop + 64])
    return following is not None and (len(following[0]) >= _THAI_LEAST or stop + 64 > len(text))


def _next_visible(text: str, start: int, end: int) -> str:
    """The first letter, digit or sign behind white space and opening quotes, '' at the end."""
    for position in range(start, min(end, start + 64)):
        if not text[position].isspace() and text[position] not in "\"'“‘«([{*_`„¿¡»":
            return text[position]
    return ""
