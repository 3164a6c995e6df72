"""A conversation read, and its questions asked: all at the end, or some on the way too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, Literal, NamedTuple

import numpy as np

from memoria.experiments.evidence.conversations import Conversation, Question
from memoria.experiments.evidence.measure import RANKED
from memoria.experiments.evidence.memories import Memory

Regime = Literal["end", "again"]
Feedback = Literal["blind", "right"]

_USED: Final = 5  # best answers that count as found where nobody says which were right
_LOOKED_AT: Final = 10  # best answers among which the right ones are found


class Answered(NamedTuple):
    """A question asked at the end.

    Attributes:
        question: what was asked.
        ranked: numbers of turns, the best first.
        alive: share of its evidence that is still kept.
        asked_before: whether it had been asked on the way.
    """

    question: Question
    ranked: list[int]
    alive: float
    asked_before: bool


def read_and_ask(
    memory: Memory,
    conversation: Conversation,
    width: int,
    regime: Regime = "end",
    feedback: Feedback = "blind",
    seed: int = 0,
) -> Iterator[Answered]:
    """Let ``memory`` read a conversation session by session, and ask it.

    Args:
        memory: has read nothing yet.
        conversation: turns and questions.
        width: turns that are read together, within a session.
        regime: "end" asks everything at the end. "again" asks a random half of the questions after
            the session that has the last of their evidence, whereupon answers count as found;
            and everything at the end.
        feedback: what counts as found: "blind" the best five, "right" the evidence among the best
            ten.
        seed: of the half.

    Yields:
        The questions at the end, in their order.
    """
    questions = conversation.questions
    order = np.random.default_rng((seed, len(conversation.turns))).permutation(len(questions))
    early = set(order[: len(questions) // 2].tolist()) if regime == "again" else set()
    numbered = enumerate(conversation.turns)
    for session, group in groupby(numbered, key=lambda one: one[1].session):
        turns = [number for number, _ in group]
        for first in range(0, len(turns), width):
            memory.read(turns[first : first + width])
        for at in order.tolist():
            last = conversation.turns[questions[at].evidence[-1]].session
            if at in early and last == session:
                ranked = memory.rank(questions[at].text, _LOOKED_AT)
                memory.found(_found(ranked, questions[at], feedback))
    living = set(memory.living.tolist())
    for at, question in enumerate(questions):
        ranked = memory.rank(question.text, RANKED)
        alive = sum(turn in living for turn in question.evidence) / len(question.evidence)
        yield Answered(question, ranked, alive, at in early)


def _found(ranked: Sequence[int], question: Question, feedback: Feedback) -> list[int]:
    if feedback == "blind":
        return list(ranked[:_USED])
    return [turn for turn in ranked if turn in question.evidence]
