"""Episodes of facts among hay, and questions about them; each a function of (seed, split, number).

- pairs: keys with one value or several behind each, `k v1 .. vm`; asked `k v1 ..`, right `v1 v2 ..`.
  With all keys asked this is MQAR (Arora et al. 2024), with one among the words of books a needle
  (RULER, Hsieh et al. 2024).
- variables: chains `a v`, `b a`, `c b` ..; asked `c`, right `v`: as many steps as `hops` (RULER).
- stories: `p went to l`, `p took o`, `p dropped o`: people who move and carry things; asked `p` or
  `o`, right is where it is: where its holder went last, or where it was dropped (bAbI, BABILong).

Facts stand in random places of their segments, in order, a segment for each; segments of hay alone
follow. The last segment holds some more facts, and the questions about all of them. Those about
its own facts (group ``near``) tell whether a network has learned what is asked at all, for which it
needs no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memoria.experiments.associate.experiment import AssociateConfig
from memoria.experiments.texts import SPLITS

Ints = NDArray[np.int64]

NOTHING: Final = -1  # the right answer where nothing is asked
_VERBS: Final = ("went", "to", "took", "dropped")


class Question(NamedTuple):
    """Tokens and the right token behind each; ``group`` says what it is about."""

    tokens: Sequence[int]
    answers: Sequence[int]
    group: str


class Told(NamedTuple):
    """What an episode tells: facts before the last segment, facts in it, and the questions."""

    facts: Sequence[Sequence[int]]
    near: Sequence[Sequence[int]]
    questions: Sequence[Question]


class Episodes(NamedTuple):
    """N episodes.

    Attributes:
        segments: before the last, int64 [N, F, S].
        last: the last segment, int64 [N, S].
        answers: the right token behind each of its tokens, `NOTHING` where none is asked, [N, S].
        groups: which answers belong to a group, bool [N, S] by name.
    """

    segments: Ints
    last: Ints
    answers: Ints
    groups: Mapping[str, NDArray[np.bool_]]


def episodes(config: AssociateConfig, hay: Ints, split: str, numbers: Sequence[int]) -> Episodes:
    """The episodes ``numbers`` of a split.

    Args:
        config: of the run.
        hay: words in order, as tokens [T]; none: hay is drawn word by word.
        split: "training", "validation" or "test".
        numbers: which ones.
    """
    tell, length = _KINDS[config.kind], config.segment
    count = config.fact_segments + config.gap
    made = np.empty((len(numbers), count + 1, length), dtype=np.int64)
    answers = np.full((len(numbers), length), NOTHING, dtype=np.int64)
    groups = {name: np.zeros(answers.shape, dtype=np.bool_) for name in config.groups}
    for row, number in enumerate(numbers):
        rng = np.random.default_rng([config.data_seed, SPLITS.index(split), number])
        told = tell(config, rng)
        made[row] = _hay(config, hay, made[row].shape, rng)
        for segment, fact in zip(made[row], told.facts, strict=False):
            at = int(rng.integers(length - len(fact) + 1))
            segment[at : at + len(fact)] = fact
        end = length
        for place in rng.permutation(len(told.questions)):
            question = told.questions[place]
            begin = end - len(question.tokens)
            made[row, -1, begin:end] = question.tokens
            answers[row, begin:end] = question.answers
            groups[question.group][row, begin:end] = True
            end = begin
        near = [token for fact in told.near for token in fact]
        made[row, -1, end - len(near) : end] = near
    return Episodes(made[:, :-1], made[:, -1], answers, groups)


def _hay(
    config: AssociateConfig, hay: Ints, shape: tuple[int, ...], rng: np.random.Generator
) -> Ints:
    first, size = config.first_hay, int(np.prod(shape))
    if not len(hay):
        return first + rng.integers(config.noise, size=shape)
    begin = int(rng.integers(len(hay)))
    return first + np.take(hay, np.arange(begin, begin + size), mode="wrap").reshape(shape)


def _pairs(config: AssociateConfig, rng: np.random.Generator) -> Told:
    keys = rng.permutation(config.symbols)[: config.keys + config.near]
    values = config.symbols + rng.integers(config.symbols, size=(len(keys), config.values))
    facts = [[int(key), *map(int, own)] for key, own in zip(keys, values, strict=True)]
    asked = [int(one) for one in rng.permutation(config.keys)[: config.asked]]
    asked += range(config.keys, len(keys))
    questions = [
        Question(facts[one][:-1], facts[one][1:], "far" if one < config.keys else "near")
        for one in asked
    ]
    return Told(facts[: config.keys], facts[config.keys :], questions)


def _variables(config: AssociateConfig, rng: np.random.Generator) -> Told:
    names = [int(one) for one in rng.permutation(config.symbols)]
    values = [
        int(one)
        for one in config.symbols + rng.integers(config.symbols, size=config.keys + config.near)
    ]
    facts: list[list[int]] = []
    questions = []
    for chain in range(config.keys):
        own = [names.pop() for _ in range(config.hops)]
        steps = [[own[0], values[chain]]]
        steps += [[name, before] for name, before in zip(own[1:], own, strict=False)]
        facts += steps
        questions += [
            Question([name], [values[chain]], "far" if hop == 1 else f"far_{hop}_hops")
            for hop, name in enumerate(own, 1)
        ]
    order = np.argsort(rng.random(len(facts)).reshape(config.keys, -1).cumsum(1).ravel())
    near = [[names.pop(), value] for value in values[config.keys :]]
    questions += [Question([name], [value], "near") for name, value in near]
    return Told([facts[at] for at in order], near, questions)


def _stories(config: AssociateConfig, rng: np.random.Generator) -> Told:
    people, places, things = config.people, config.places, config.things
    first_place, first_thing = people, people + places
    went, to, took, dropped = (first_thing + things + at for at in range(len(_VERBS)))
    where: dict[int, tuple[int, int]] = {}  # of people and dropped things: place, event
    held: dict[int, int] = {}  # thing: its holder
    told: list[list[int]] = []
    for event in range(config.facts + config.near):
        person = int(rng.integers(people))
        own = [thing for thing, holder in held.items() if holder == person]
        free = [thing for thing in range(things) if thing not in held]
        draw = rng.random()
        if person in where and own and draw < 0.2:
            thing = int(rng.choice(own))
            where[first_thing + thing] = where[person]
            del held[thing]
            told.append([person, dropped, first_thing + thing])
        elif person in where and free and draw < 0.5:
            thing = int(rng.choice(free))
            held[thing] = person
            where.pop(first_thing + thing, None)
            told.append([person, took, first_thing + thing])
        else:
            place = first_place + int(rng.integers(places))
            where[person] = (place, event)
            told.append([person, went, to, place])
    questions = []
    for who, (place, event) in sorted(where.items()):
        group = "far_two_facts" if who >= first_thing else "far"
        questions.append(Question([who], [place], group if event < config.facts else "near"))
    for thing, holder in sorted(held.items()):
        place, event = where[holder]
        group = "far_two_facts" if event < config.facts else "near"
        questions.append(Question([first_thing + thing], [place], group))
    return Told(told[: config.facts], told[config.facts :], questions)


_KINDS: Final[Mapping[str, Callable[[AssociateConfig, np.random.Generator], Told]]] = {
    "pairs": _pairs,
    "variables": _variables,
    "stories": _stories,
}
