"""A question as it is searched for: respelled, without words that all texts share, by whom."""

from __future__ import annotations

import re
from typing import Final

from memoria.search.text_index import TextIndex

_COMMON: Final = 0.15  # share of the texts that hold a word, above which it tells nothing of them
_FEW: Final = 20  # texts, below which that share says little
_LEAST_NAME: Final = 2  # letters of a part of a name

_LETTERS: Final = re.compile(r"[^\W\d_]+(?:['’](?!s\b)[^\W\d_]+)?")
_PART: Final = re.compile(r"[^\W_]+")
_EDGES: Final = re.compile(r"^\W+|\W+$")
_POSSESSIVE: Final = re.compile(r"(?:'s|’s)$")


def respell(index: TextIndex, question: str) -> str:
    """The question with each word that no text has replaced as `Vocabulary.respell` does."""

    def replaced(found: re.Match[str]) -> str:
        word = found[0].lower().replace("’", "'")
        other = index.vocabulary.respell(word)
        return found[0] if other == word else other

    return _LETTERS.sub(replaced, question)


def bare_cue(index: TextIndex, cue: str) -> str:
    """The cue without words that stand in more than 15 % of the texts: in a chat, the names.

    The whole cue where nothing would be left, and in fewer than 20 texts.
    """
    if len(index) < _FEW:
        return cue
    kept = [word for word in cue.split() if not _is_common(index, word)]
    return " ".join(kept) or cue


def named_speaker(index: TextIndex, cue: str) -> int | None:
    """The number of the one speaker that the cue names; None for nobody, or several."""
    said = _parts(cue)
    named = [at for at, name in index.named_speakers().items() if said & _parts(name)]
    return named[0] if len(named) == 1 else None


def _is_common(index: TextIndex, word: str) -> bool:
    word = _POSSESSIVE.sub("", _EDGES.sub("", word.lower()))
    if word in index.language.stop:
        return False
    number = index.vocabulary.number(word)
    return number is not None and index.vocabulary["own"][number] > _COMMON * len(index)


def _parts(name: str) -> set[str]:
    return {part for part in _PART.findall(name.lower()) if len(part) >= _LEAST_NAME}
