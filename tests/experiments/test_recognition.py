"""Recognition: sentences and their foils, what stores and networks know of them, and how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoria.backbones import load_backbone
from memoria.errors import ConfigError, InputError
from memoria.experiments import execute, find_experiment, make_plan
from memoria.experiments.recognition.foils import (
    FOILS,
    choose,
    reworded,
    with_one_word_changed,
)
from memoria.experiments.recognition.measure import first_half, two_choice
from memoria.experiments.recognition.stores import store_moments


def sentences(count: int) -> list[str]:
    """Sentences of ten words, none like another."""
    rng = np.random.default_rng(0)
    return [
        " ".join(f"word{one}" for one in rng.integers(10**6, size=10)) + "." for _ in range(count)
    ]


def test_what_is_studied_new_and_read_between_is_apart() -> None:
    studied = choose(sentences(60), 20, 0)
    assert len(set(studied.seen)) == len(set(studied.foils["new"])) == len(studied.other) == 20
    assert len({*studied.seen, *studied.foils["new"], *studied.other}) == 60
    assert list(studied.foils) == list(FOILS)
    for kind in FOILS:
        assert not set(studied.foils[kind]) & set(studied.seen)
    assert choose(sentences(60), 20, 1).seen != studied.seen


def test_too_few_sentences_are_told() -> None:
    with pytest.raises(InputError, match="10 different sentences of 8 to 24 words"):
        choose([*sentences(10), "Too short."], 5, 0)


@pytest.mark.parametrize(
    ("sentence", "other"),
    [
        ("The bees came, and it is late.", "And it's late, The bees came."),
        ("He must wait until noon", "Wait until noon, He has to"),
    ],
)
def test_a_paraphrase_turns_clauses_and_says_words_otherwise(sentence: str, other: str) -> None:
    assert reworded(sentence) == other


def test_one_word_is_another_and_no_more() -> None:
    pool = ["garden", "window"]
    for seed in range(10):
        rng = np.random.default_rng(seed)
        changed = with_one_word_changed("The window, she said, was open.", pool, rng)
        words = zip(changed.split(), "The window, she said, was open.".split(), strict=True)
        assert [one for one, before in words if one != before] == ["garden,"]


def test_a_word_with_an_apostrophe_is_changed_as_well() -> None:
    rng = np.random.default_rng(0)
    changed = with_one_word_changed("\u201cWe shouldn\u2019t.\u201d", ["garden"], rng)
    assert changed == "\u201cWe garden\u2019t.\u201d"


def test_a_tie_is_a_guess() -> None:
    assert two_choice(np.array([1.0, 1.0, 0.0]), np.array([0.0, 1.0, 1.0])) == 0.5
    assert first_half("one two three") == "one two"


def test_a_memory_that_keeps_all_knows_all_and_one_that_forgets_does_not() -> None:
    studied = choose(sentences(60), 8, 0)
    settings = {"initial_lifespan": 4.0, "rule": "uniform:0", "stm_capacity": 8}
    backbone = load_backbone("hash", 64)
    moments = {
        model: list(
            store_moments(model, studied, backbone=backbone, settings=settings, width=4, after=[12])
        )
        for model in ("nearest", "remind")
    }
    for one in moments["nearest"]:
        assert one.recognition == {"new": 1.0, "paraphrase": 1.0, "word": 1.0}
        assert one.recalled > 0.8
    first, last = moments["remind"]
    assert (first.after, last.after) == (0, 12)
    assert first.recognition["new"] > 0.9
    assert first.recalled > 0.8
    assert last.recalled == 0.0
    assert last.recognition["new"] < 0.9


def test_the_steps_of_a_network_follow_from_what_it_learns() -> None:
    changes = {"prior": 3, "studied": 25, "passes": 2, "after": [1, 4]}
    config = find_experiment("recognition").Config.preset("small", **changes)
    assert (config.study_steps, config.steps) == (5, 12)
    with pytest.raises(ConfigError, match="ascending"):
        config.replace(after=[4, 1])


@pytest.mark.slow
def test_a_network_knows_what_it_studied_and_a_run_draws_it(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n".join(sentences(80)))
    asked: dict[str, Any] = {
        "models": ["none", "ask"],
        "data": [str(tmp_path)],
        "device": "cpu",
        "studied": 20,
        "prior": 2,
        "passes": 20,
        "after": [1, 3],
        "hidden": 32,
        "inner": 64,
        "heads": 2,
        "vocabulary": 256,
        "learning_rate": 0.005,
    }
    specs = make_plan("recognition", "small", asked).specs(tmp_path / "o")
    records = [execute(spec) for spec in specs]
    network, store = (record.metrics for record in records)
    assert 0.2 < network["recognition_before"] < 0.8
    assert network["recognition"] > 0.9
    assert store["recalled"] > 0.8
    moments = [row for row in records[0].rows() if row["kind"] == "moment"]
    assert [row["after"] for row in moments] == [-1, 0, 1, 3]
    (picture,) = find_experiment("recognition").draw(records, tmp_path)
    assert picture.stat().st_size > 1000
