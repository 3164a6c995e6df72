"""The curves of free recall, by psifr's functions: the same for people and for memories.

Of each subject, over its lists of L words:

- serial position: the share of lists in which the word at position 1..L was recalled.
- first recall: the share in which it was recalled first, of those in which anything was.
- lag-CRP: among transitions from a word to another of the list, how often one by lag -(L-1)..L-1
  was made where it could be made, its word being of the list and not recalled yet.
- temporal factor: the mean percentile of a transition's distance among those that could be made;
  1 if always the nearest in the list comes next, .5 by chance (Polyn, Norman & Kahana 2009).

An intrusion counts as recalled, but a transition from or to it counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memoria.experiments.freerecall.people import INTRUSION, Recalls, load_psifr

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """Curves of S subjects; NaN where a subject had no occasion.

    Attributes:
        serial: recalled by serial position, [S, L].
        first: recalled first by serial position, [S, L].
        crp: conditional probability of a lag, [S, 2 L - 1]; lag 0, always NaN, is in the middle.
        temporal: temporal factor, [S].
    """

    serial: Floats
    first: Floats
    crp: Floats
    temporal: Floats

    @property
    def length(self) -> int:
        """Words of a list (L)."""
        return int(self.serial.shape[1])

    def at_lag(self, lag: int) -> Floats:
        """The lag-CRP at ``lag``, [S]."""
        found: Floats = self.crp[:, self.length - 1 + lag]
        return found

    def of_half(self, half: int) -> Curves:
        """The curves of the subjects whose lists `Recalls.of_half` gives."""
        at = slice(half, None, 2)
        return Curves(self.serial[at], self.first[at], self.crp[at], self.temporal[at])

    def means(self) -> dict[str, Floats]:
        """The means over subjects: serial [L], first [L], crp [2 L - 1]."""
        return {
            "serial": mean_known(self.serial),
            "first": mean_known(self.first),
            "crp": mean_known(self.crp),
        }


def mean_known(values: Floats) -> Floats:
    """The mean of ``values`` [S, ...] over what is no NaN in the first axis; NaN without any."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    found: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return found


def distance(one: Curves, other: Curves) -> float:
    """How far mean curves are apart: the root mean square of all their differences.

    The three curves count alike.
    """
    left, right = one.means(), other.means()
    squares = [np.nanmean((left[name] - right[name]) ** 2) for name in left]
    return float(np.sqrt(np.mean(squares)))


def curves_of(recalls: Recalls) -> Curves:
    """The curves of each subject, in the order of their numbers.

    Raises:
        MissingExtraError: psifr is not installed.
    """
    fr = load_psifr()
    table = _table(recalls)
    length = recalls.length
    subjects = sorted(set(recalls.subjects))
    places = range(1, length + 1)
    first = fr.pnr(table).reset_index()
    first = first[first["output"] == 1]
    return Curves(
        _by_subject(fr.spc(table).reset_index(), "input", "recall", subjects, places),
        _by_subject(first, "input", "prob", subjects, places),
        _by_subject(
            fr.lag_crp(table).reset_index(), "lag", "prob", subjects, range(1 - length, length)
        ),
        _by_subject(fr.lag_rank(table).reset_index(), None, "rank", subjects, range(1))[:, 0],
    )


def _table(recalls: Recalls) -> Any:
    """The recalls as psifr's merged table: a row for each word of a list and each intrusion."""
    import pandas

    rows: list[tuple[int, float, float]] = []
    for number, order in enumerate(recalls.orders):
        outputs = {position: at for at, position in enumerate(order, 1) if position != INTRUSION}
        strange = [at for at, position in enumerate(order, 1) if position == INTRUSION]
        places = range(1, recalls.length + 1)
        rows += [(number, place, outputs.get(place, np.nan)) for place in places]
        rows += [(number, np.nan, at) for at in strange]
    table = pandas.DataFrame(rows, columns=["list", "input", "output"])
    table["subject"] = np.array(recalls.subjects)[table["list"]]
    table["item"] = table["input"]
    table["study"] = table["input"].notna()
    table["recall"] = table["output"].notna()
    table["intrusion"] = ~table["study"]
    table["repeat"] = 0
    return table


def _by_subject(table: Any, key: str | None, value: str, subjects: Any, keys: range) -> Floats:
    """The column ``value`` as [subjects, keys]; NaN where there is no row."""
    found = np.full((len(subjects), len(keys)), np.nan)
    rows = {subject: row for row, subject in enumerate(subjects)}
    columns = np.zeros(len(table), int) if key is None else table[key].to_numpy(int) - keys.start
    found[[rows[one] for one in table["subject"]], columns] = table[value]
    return found
