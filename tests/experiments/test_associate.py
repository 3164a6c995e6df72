"""Associate: what episodes tell and ask, by one who reads them, and what networks learn of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoria.errors import ConfigError
from memoria.experiments import execute, make_plan
from memoria.experiments.associate.config import AssociateConfig
from memoria.experiments.associate.episodes import NOTHING, Episodes, episodes
from memoria.experiments.associate.words import Words

NO_HAY = np.zeros(0, dtype=np.int64)
KINDS: list[dict[str, Any]] = [
    {"kind": "pairs"},
    {"kind": "pairs", "values": 3, "asked": 1, "segment": 16},
    {"kind": "variables", "keys": 2},
    {"kind": "variables", "keys": 1, "hops": 4},
    {"kind": "stories"},
]


def configured(**changes: Any) -> AssociateConfig:
    return AssociateConfig(**changes)


def read(config: AssociateConfig, numbers: int = 30) -> Episodes:
    return episodes(config, NO_HAY, "test", range(numbers))


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("joined", [True, False])
def test_every_kind_fits_its_segments_and_words(changes: dict[str, Any], joined: bool) -> None:
    config = configured(**{**changes, "joined": joined, "segment": 32})
    made = read(config)
    assert made.segments.shape == (30, config.facts + config.gap, 32)
    known = Words(config)
    tokens = np.concatenate((made.segments.reshape(30, -1), made.last), axis=1)
    assert tokens.min() >= 0
    assert tokens.max() < known.count
    hay = made.segments[:, config.facts :]
    assert not hay.size or hay.min() >= known.first_hay
    grouped = sum(members.astype(int) for members in made.groups.values())
    np.testing.assert_array_equal(grouped, made.answers != NOTHING)
    told = (made.segments[:, : config.facts] < known.first_hay).sum(2)
    assert (told >= 1).all()
    again = episodes(config, NO_HAY, "test", [7])
    np.testing.assert_array_equal(again.last[0], made.last[7])
    assert not np.array_equal(episodes(config, NO_HAY, "training", [7]).last, again.last)


def test_a_key_is_asked_with_its_values_before_the_one_asked_for() -> None:
    config = configured(kind="pairs", joined=False, values=2, segment=24, keys=3, asked=3)
    made = read(config)
    for segments, last, answers in zip(made.segments, made.last, made.answers, strict=True):
        told = [token for segment in segments for token in segment if token < 16]
        near = [token for token in last if token < 16]
        known = {told[at]: told[at + 1 : at + 3] for at in range(0, len(told), 3)}
        known |= {near[at]: near[at + 1 : at + 3] for at in range(0, 6, 3)}
        asked = np.flatnonzero(answers != NOTHING)
        assert len(asked) == 2 * 5
        for at in asked[::2]:
            assert answers[at : at + 2].tolist() == known[last[at]]
            assert last[at + 1] == answers[at]


def test_a_chain_of_variables_ends_at_its_value() -> None:
    config = configured(kind="variables", joined=False, keys=2, hops=3, segment=16)
    made = read(config)
    for row, segments in enumerate(made.segments):
        told = [token for segment in segments for token in segment if token < 16]
        value: dict[int, int] = {}
        for name, right in zip(told[::2], told[1::2], strict=True):
            value[name] = right if right >= 8 else value[right]
        far = ~made.groups["near"][row] & (made.answers[row] != NOTHING)
        assert far.sum() == 6
        assert [value[name] for name in made.last[row][far]] == made.answers[row][far].tolist()
    assert (made.groups["far_3_hops"].sum(1) == 2).all()


def test_a_story_asks_where_people_and_things_are() -> None:
    config = configured(kind="stories", joined=False, events=12, segment=24)
    words = Words(config)
    made = read(config, 60)
    went, to, took, dropped = range(words.first_verb, words.first_verb + 4)
    groups = 0
    for row in range(60):
        told = [token for token in made.segments[row].ravel() if token < words.first_hay]
        asked = made.answers[row] != NOTHING
        end = np.flatnonzero(asked)[0] if asked.any() else len(asked)
        told += [token for token in made.last[row][:end] if token < words.first_hay]
        where: dict[int, int] = {}
        holder: dict[int, int] = {}
        while told:
            person, verb, *rest = told
            assert person < config.people
            told = told[4:] if verb == went else told[3:]
            if verb == went:
                assert rest[0] == to
                where[person] = rest[1]
            elif verb == took:
                holder[rest[0]] = person
            else:
                assert verb == dropped
                assert holder.pop(rest[0]) == person
                where[rest[0]] = where[person]
        where |= {thing: where[person] for thing, person in holder.items()}
        found = dict(zip(made.last[row][asked], made.answers[row][asked], strict=True))
        assert found == where
        groups += int(made.groups["far_two_facts"][row].sum())
    assert groups > 0


def test_hay_of_books_is_words_in_their_order() -> None:
    config = configured(gap=3)
    made = episodes(config, np.arange(20), "test", [0])
    hay = made.segments[0, config.facts :].ravel() - Words(config).first_hay
    assert (np.diff(hay) % 20 == 1).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"asked": 5}, "asked = 5: more than there are keys"),
        ({"symbols": 5}, "symbols = 5: 6 keys are needed"),
        ({"values": 4}, "segment = 10: facts and questions of the last one take up to 32"),
        ({"kind": "variables", "keys": 4}, "symbols = 8: 10 keys"),
        ({"kind": "poems"}, "kind"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(**changes)


@pytest.mark.slow
def test_a_memory_of_all_segments_solves_it_and_none_guesses(tmp_path: Path) -> None:
    asked = {"models": ["xl", "none"], "gap": 2, "device": "cpu", "steps": 400}
    specs = make_plan("associate", "small", asked).specs(tmp_path)
    xl, none = (execute(spec).metrics for spec in specs)
    assert xl["accuracy"] > 0.9
    assert abs(none["accuracy"] - 1 / 8) < 0.08
    assert none["accuracy_near"] > 0.8
