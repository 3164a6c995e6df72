"""What asking a memory gives: answers, best first, each with what it is and why it was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, overload

from memoria.io.notebook import SHOWN_ROWS, html_table, shorten
from memoria.search.confidence import UNSURE
from memoria.search.languages import date_and_time

_SHOWN: Final = 80  # characters of a text in a repr


@dataclass(frozen=True)
class Neighbour:
    """An engram beside an answer: the turns before and after."""

    id: int
    text: str | None


@dataclass(frozen=True)
class Answer:
    """An engram that may answer a question.

    Attributes:
        id: of the engram.
        lane: its lane.
        text: its text; None where it has none.
        score: the sum of ``parts``, by which answers are ordered; comparable within one question.
        confidence: how often such an answer is one, 0 to 1.
        parts: what the score is made of, by name.
        source: where it was read, such as a file; None where that is not known.
        line: its line there, from 1; None where that is not known.
        offset: characters before it there.
        time: its own time, milliseconds since 1970-01-01 UTC; None where it has none.
        meta: what stands beside it.
        before, after: the engrams around it, in order of creation.
    """

    id: int
    lane: int
    text: str | None
    score: float
    confidence: float
    parts: Mapping[str, float]
    source: str | None = None
    line: int | None = None
    offset: int | None = None
    time: int | None = None
    meta: Mapping[str, Any] | None = None
    before: tuple[Neighbour, ...] = ()
    after: tuple[Neighbour, ...] = ()

    def document(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        made = asdict(self)
        return {**made, "before": list(made["before"]), "after": list(made["after"])}


class Answers(Sequence[Answer]):
    """The answers to one question, best first. ``step``: steps that the memory had finished.

    ``notes`` tell what a user should know of how they were found, one line each.
    """

    def __init__(self, step: int, answers: Sequence[Answer], notes: Sequence[str] = ()) -> None:
        self.step, self.notes = step, tuple(notes)
        self._answers = tuple(answers)

    @property
    def ids(self) -> list[int]:
        """Ids of the engrams."""
        return [one.id for one in self]

    @property
    def texts(self) -> list[str | None]:
        """Their texts."""
        return [one.text for one in self]

    @property
    def scores(self) -> list[float]:
        """Their scores."""
        return [one.score for one in self]

    @property
    def parts(self) -> list[Mapping[str, float]]:
        """The parts of their scores."""
        return [one.parts for one in self]

    @property
    def confidence(self) -> float:
        """The greatest confidence of an answer; 0 without any."""
        return max((one.confidence for one in self), default=0.0)

    @property
    def seems_answered(self) -> bool:
        """Whether anything here seems to answer the question."""
        return self.confidence >= UNSURE

    def document(self) -> dict[str, Any]:
        """``{"step", "answers"}`` as JSON has them."""
        return {"step": self.step, "answers": [one.document() for one in self]}

    def __len__(self) -> int:
        return len(self._answers)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self._answers)

    @overload
    def __getitem__(self, index: int) -> Answer: ...

    @overload
    def __getitem__(self, index: slice) -> Answers: ...

    def __getitem__(self, index: int | slice) -> Answer | Answers:
        if isinstance(index, slice):
            return Answers(self.step, self._answers[index], self.notes)
        return self._answers[index]

    def __repr__(self) -> str:
        return "\n".join([f"Answers, {len(self)} at step {self.step}:", *map(_line, self)])

    def _repr_html_(self) -> str:
        """The answers as a notebook shows them."""
        columns = ("id", "text", "confidence", "source", "time", "score")
        rows = [
            (
                one.id,
                one.text,
                f"{one.confidence:.0%}",
                one.source if one.line is None else f"{one.source}:{one.line}",
                None if one.time is None else date_and_time(one.time),
                f"{one.score:.2f}",
            )
            for one in self
        ]
        title = f"{len(self)} answers at step {self.step}"
        return html_table(title, columns, rows[:SHOWN_ROWS], len(rows) - SHOWN_ROWS)


def _line(answer: Answer) -> str:
    text = shorten(answer.text, _SHOWN)
    when = "" if answer.time is None else f", {date_and_time(answer.time)}"
    where = "" if answer.source is None else f", {answer.source}"
    return f"{answer.score:7.2f}  {answer.id}: {text}{where}{when}"
