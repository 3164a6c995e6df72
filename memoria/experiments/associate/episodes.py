"""Episodes of facts among hay, and questions about them; each a function of (seed, split, number).

- pairs: keys with one value or several behind each, `k v1 .. vm`; asked `k v1 ..`, right are
  `v1 v2 ..`. With all keys asked this is MQAR (Arora et al. 2024), with one among the
  words of books a needle (RULER, Hsieh et al. 2024).
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

from memoria.experiments.associate.config import AssociateConfig
from memoria.experiments.associate.words import Words
from memoria.experiments.texts import SPLITS

Ints = NDArray[np.int64]

NOTHING: Final = -1  # the right answer where nothing is asked
_DROPS: Final = 0.2  # how often one who holds something puts it down
_ACTS: Final = 0.5  # how often one takes something or puts it down


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
    tell, length, known = _KINDS[config.kind], config.segment, Words(config)
    count = config.facts + config.gap
    made = np.empty((len(numbers), count + 1, length), dtype=np.int64)
    answers = np.full((len(numbers), length), NOTHING, dtype=np.int64)
    groups = {name: np.zeros(answers.shape, dtype=np.bool_) for name in config.groups}
    for row, number in enumerate(numbers):
        rng = np.random.default_rng([config.data_seed, SPLITS.index(split), number])
        told = tell(config, known, rng)
        made[row] = known.first_hay + _hay(config.noise, hay, made[row].shape, rng)
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


def _hay(noise: int, hay: Ints, shape: tuple[int, ...], rng: np.random.Generator) -> Ints:
    size = int(np.prod(shape))
    if not len(hay):
        return rng.integers(noise, size=shape)
    begin = int(rng.integers(len(hay)))
    return np.take(hay, np.arange(begin, begin + size), mode="wrap").reshape(shape)


def _pairs(config: AssociateConfig, known: Words, rng: np.random.Generator) -> Told:
    keys = rng.permutation(config.symbols)[: config.keys + config.near].tolist()
    values = rng.integers(config.symbols, size=(len(keys), config.values)).tolist()
    facts: list[list[int]] = []
    questions: list[Question] = []
    for key, own in zip(keys, values, strict=True):
        words = [key, *(known.first_value + value for value in own)]
        if config.joined:
            facts.append(
                [token for at, one in enumerate(own) for token in known.fact(at, key, one, ())]
            )
            asked = [known.asking(key, at) for at in range(config.values)]
        else:
            facts.append(words)
            asked = words[:-1]
        group = "far" if len(questions) < config.keys else "near"
        questions.append(Question(asked, words[1:], group))
    far = [questions[at] for at in rng.permutation(config.keys)[: config.asked]]
    return Told(facts[: config.keys], facts[config.keys :], [*far, *questions[config.keys :]])


def _variables(config: AssociateConfig, known: Words, rng: np.random.Generator) -> Told:
    names = rng.permutation(config.symbols).tolist()
    values = rng.integers(config.symbols, size=config.keys + config.near).tolist()
    chains: list[list[list[int]]] = []
    questions = []
    for chain in range(config.keys):
        own = [names.pop() for _ in range(config.hops)]
        right = known.first_value + values[chain]
        steps = [known.fact(0, own[0], values[chain], [own[0], right])]
        steps += [known.fact(1, name, own[at], [name, own[at]]) for at, name in enumerate(own[1:])]
        chains.append(steps)
        questions += [
            Question([name], [right], "far" if hop == 1 else f"far_{hop}_hops")
            for hop, name in enumerate(own, 1)
        ]
    facts = []  # of the chains in random order, those of one chain in its own
    for chain in rng.permutation(np.repeat(np.arange(config.keys), config.hops)):
        facts.append(chains[chain].pop(0))
    near = []
    for value in values[config.keys :]:
        name, right = names.pop(), known.first_value + value
        near.append(known.fact(0, name, value, [name, right]))
        questions.append(Question([name], [right], "near"))
    return Told(facts, near, questions)


def _stories(config: AssociateConfig, known: Words, rng: np.random.Generator) -> Told:
    went, to, took, dropped = range(known.first_verb, known.first_verb + 4)
    where: dict[int, tuple[int, int]] = {}  # of people and of things put down: place, event
    held: dict[int, int] = {}  # thing: its holder
    told: list[list[int]] = []
    for event in range(config.events + config.near):
        person = int(rng.integers(config.people))
        own = [thing for thing, holder in held.items() if holder == person]
        free = [thing for thing in range(config.things) if thing not in held]
        draw = rng.random()
        if person in where and own and draw < _DROPS:
            thing = int(rng.choice(own))
            word = known.first_thing + thing
            where[word] = where[person]
            del held[thing]
            told.append(known.fact(2, person, thing, [person, dropped, word]))
        elif person in where and free and draw < _ACTS:
            thing = int(rng.choice(free))
            word = known.first_thing + thing
            held[thing] = person
            where.pop(word, None)
            told.append(known.fact(1, person, thing, [person, took, word]))
        else:
            place = int(rng.integers(config.places))
            word = known.first_place + place
            where[person] = (word, event)
            told.append(known.fact(0, person, place, [person, went, to, word]))
    there = {known.first_thing + thing: where[holder] for thing, holder in held.items()}
    questions = []
    for who, (place, event) in sorted({**where, **there}.items()):
        far = "far" if who < config.people else "far_two_facts"
        questions.append(Question([who], [place], far if event < config.events else "near"))
    return Told(told[: config.events], told[config.events :], questions)


_KINDS: Final[Mapping[str, Callable[[AssociateConfig, Words, np.random.Generator], Told]]] = {
    "pairs": _pairs,
    "variables": _variables,
    "stories": _stories,
}
