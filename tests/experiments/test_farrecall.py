"""Far recall: what an episode holds, and that runs of it end and repeat themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoria.errors import ConfigError
from memoria.experiments import RunRecord, execute, local, make_plan
from memoria.experiments.farrecall.experiment import FarRecallConfig
from memoria.experiments.farrecall.task import episodes

TINY = {
    "hidden": 16,
    "inner": 96,
    "heads": 2,
    "facts": 3,
    "asked": 3,
    "gap": 4,
    "memory": 8,
    "batch": 4,
    "held_out": 10,
    "steps": 6,
    "validate_every": 3,
    "models": ["memoria", "memoria-wm", "rmt"],
    "seeds": [0],
    "device": "cpu",
}


def config(**changes: Any) -> FarRecallConfig:
    return FarRecallConfig(**{**TINY, **changes})


def test_an_episode_tells_each_fact_once_and_asks_for_all() -> None:
    made = config(shown=2)
    segments, questions, answers, ages = episodes(made, "training", range(40))
    assert segments.shape == (40, 7, 8)
    facts, values, noise = made.facts, made.values, made.noise
    for row in range(40):
        told = segments[row] < facts * values
        assert told.sum(1).tolist() == [2, 2, 2, 0, 0, 0, 0]
        assert (segments[row][~told] < facts * values + noise).all()
        assert (segments[row] >= 0).all()
        assert sorted(questions[row] - facts * values - noise) == [0, 1, 2]
        for question, answer, age in zip(questions[row], answers[row], ages[row], strict=True):
            assert answer // values == question - facts * values - noise
            assert answer in segments[row, 7 - age]
    assert made.vocabulary == questions.max() + 1


def test_a_cue_stands_beside_the_fact_and_before_the_question() -> None:
    made = config(cued=True, asked=1, shown=3)
    segments, questions, answers, ages = episodes(made, "training", range(30))
    assert questions.shape == answers.shape == ages.shape == (30, 1)
    for row in range(30):
        question, answer, age = questions[row, 0], answers[row, 0], ages[row, 0]
        there = (segments[row] == question).sum(1).tolist()
        assert there[-1] == there[7 - age] == 3
        assert sum(there) == 6
        assert (segments[row] == answer).sum(1).tolist()[7 - age] == 3
        assert (segments[row, 3:] >= made.facts * made.values).all()


def test_every_order_and_every_value_comes() -> None:
    _, questions, answers, ages = episodes(config(), "test", range(200))
    assert len({tuple(row) for row in questions}) == 6
    assert len({tuple(row) for row in ages}) == 6
    assert set(answers.flatten()) == set(range(12))


def test_an_episode_is_a_function_of_its_number() -> None:
    some, again = (episodes(config(), "test", numbers) for numbers in ([5, 9], [9]))
    for one, other in zip(some, again, strict=True):
        np.testing.assert_array_equal(one[1:], other)
    for changes, split in (({"data_seed": 1}, "test"), ({}, "training")):
        assert not np.array_equal(episodes(config(**changes), split, [9])[0], again[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segment": 2, "shown": 1}, "segment = 2: shorter than 3 questions"),
        ({"asked": 4}, "asked = 4: more than there are facts"),
        ({"cued": True, "gap": 0, "asked": 1}, "cued"),
        ({"cued": True, "shown": 5}, "shown = 5"),
        ({"shown": 9}, "shown = 9"),
        ({"values": 1}, "values = 1"),
        ({"models": ["memoria-none"]}, "no model"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(**changes)


def test_runs_end_with_an_accuracy_for_each_age(tmp_path: Path) -> None:
    specs = make_plan("farrecall", "small", TINY).specs(tmp_path)
    for spec in specs:
        execute(spec)
        metrics = RunRecord.read(spec.path).metrics
        ages = [metrics[f"accuracy_after_{age}"] for age in (5, 6, 7)]
        assert np.mean(ages) == pytest.approx(metrics["accuracy"])
        assert 0 <= metrics["accuracy"] <= 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_numbers(tmp_path: Path) -> None:
    for name in ("one", "other"):
        plan = make_plan("farrecall", "small", {**TINY, "models": ["memoria"]})
        local(plan.specs(tmp_path / name), 1)
    one, other = (
        RunRecord.read(tmp_path / name / "memoria-0").metrics for name in ("one", "other")
    )
    assert one == other


@pytest.mark.slow
def test_long_term_memory_makes_the_difference(tmp_path: Path) -> None:
    """Without it nothing is left of the facts (guessing: 0.25); with it much is."""
    changes = {"seeds": [0], "models": ["memoria", "memoria-stm"], "device": "cpu"}
    accuracy = {}
    for spec in make_plan("farrecall", "small", changes).specs(tmp_path):
        execute(spec)
        accuracy[spec.name] = RunRecord.read(spec.path).metrics["accuracy"]
    assert accuracy["memoria"] > 0.4
    assert accuracy["memoria-stm"] < 0.32
