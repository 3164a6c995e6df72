"""Free recall: curves of people and of memories, by psifr and by a plain count of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memoria.errors import ConfigError, MissingExtraError
from memoria.experiments import execute, find_experiment, make_plan
from memoria.experiments.freerecall import people as people_module
from memoria.experiments.freerecall.curves import curves_of
from memoria.experiments.freerecall.findings import FINDINGS, find
from memoria.experiments.freerecall.people import INTRUSION, Recalls, read_people
from memoria.experiments.freerecall.process import Constants, fit, loss, recall_lists
from memoria.experiments.freerecall.traces import learn

PEERS_SERIAL = [0.821, 0.736, 0.673, 0.642, 0.622, 0.596, 0.590, 0.558]
PEERS_SERIAL += [0.569, 0.572, 0.578, 0.583, 0.646, 0.698, 0.822, 0.924]
PEERS_FIRST = [0.098, 0.017, 0.008, 0.008, 0.005, 0.008, 0.006, 0.006]
PEERS_FIRST += [0.010, 0.014, 0.023, 0.034, 0.060, 0.073, 0.176, 0.455]
PEERS_BACKWARD = [0.053, 0.055, 0.065, 0.082, 0.108, 0.255]  # lags -6 to -1
PEERS_FORWARD = [0.433, 0.121, 0.093, 0.068, 0.066, 0.057]


@pytest.fixture(scope="module")
def people() -> Recalls:
    return read_people("peers")


@pytest.fixture(scope="module")
def some(people: Recalls) -> Recalls:
    """The lists of 10 people."""
    chosen = sorted(set(people.subjects))[:10]
    at = [row for row, subject in enumerate(people.subjects) if subject in chosen]
    subjects = [people.subjects[row] for row in at]
    return Recalls(people.length, subjects, [people.orders[row] for row in at])


@pytest.mark.slow
def test_curves_of_people_are_the_published_ones(people: Recalls) -> None:
    found = curves_of(people)
    assert (len(set(people.subjects)), len(people.orders), people.length) == (126, 3528, 16)
    means = found.means()
    assert means["serial"] == pytest.approx(PEERS_SERIAL, abs=1e-3)
    assert means["first"] == pytest.approx(PEERS_FIRST, abs=1e-3)
    assert means["crp"][9:15] == pytest.approx(PEERS_BACKWARD, abs=1e-3)
    assert means["crp"][16:22] == pytest.approx(PEERS_FORWARD, abs=1e-3)
    assert found.temporal.mean() == pytest.approx(0.699, abs=1e-3)
    assert found.temporal.std() == pytest.approx(0.067, abs=1e-3)


@pytest.mark.slow
def test_curves_of_the_second_study_are_the_published_ones() -> None:
    recalls = read_people("morton")
    found = curves_of(recalls)
    assert (len(set(recalls.subjects)), recalls.length) == (40, 24)
    means = found.means()
    assert means["serial"][:3] == pytest.approx([0.563, 0.505, 0.474], abs=1e-3)
    assert means["serial"][-4:] == pytest.approx([0.575, 0.664, 0.823, 0.963], abs=1e-3)
    assert [found.at_lag(lag).mean() for lag in (-1, 1)] == pytest.approx([0.213, 0.215], abs=1e-3)
    assert found.temporal.mean() == pytest.approx(0.638, abs=1e-3)


def test_psifr_counts_as_a_plain_loop_does() -> None:
    rng = np.random.default_rng(0)
    subjects = [1, 1, 1, 2, 2, 2]
    orders = [(rng.permutation(7)[: rng.integers(2, 7)] + 1).tolist() for _ in subjects]
    orders[1].insert(1, INTRUSION)
    orders[4] = []
    found = curves_of(Recalls(7, subjects, orders))
    for row, subject in enumerate((1, 2)):
        lists = [order for one, order in zip(subjects, orders, strict=True) if one == subject]
        expected = _counted(lists, 7)
        for name, values in expected.items():
            np.testing.assert_allclose(getattr(found, name)[row], values, err_msg=name)


def _counted(lists: list[list[int]], length: int) -> dict[str, Any]:
    """The curves of one subject, counted transition by transition."""
    made, possible = np.zeros(2 * length - 1), np.zeros(2 * length - 1)
    ranks: list[float] = []
    for order in lists:
        left = set(range(1, length + 1))
        for at, position in enumerate(order):
            before = order[at - 1] if at else INTRUSION
            if before != INTRUSION and position != INTRUSION:
                made[position - before + length - 1] += 1
                for one in left:
                    possible[one - before + length - 1] += 1
                distances = [abs(one - before) for one in left if one != position]
                further = sum(one > abs(position - before) for one in distances)
                equal = sum(one == abs(position - before) for one in distances)
                ranks += [(further + equal / 2) / len(distances)] if distances else []
            left.discard(position)
    with np.errstate(invalid="ignore"):
        crp = made / possible
    starts = [order[0] for order in lists if order]
    return {
        "serial": [np.mean([one in order for order in lists]) for one in range(1, length + 1)],
        "first": [np.mean([start == one for start in starts]) for one in range(1, length + 1)],
        "crp": crp,
        "temporal": np.mean(ranks),
    }


def test_a_random_recaller_has_a_temporal_factor_of_one_half(some: Recalls) -> None:
    found = curves_of(some.drawn(0))
    assert found.temporal.mean() == pytest.approx(0.5, abs=0.01)
    assert not any(one.is_there for one in find(found).values())


def test_a_shuffled_order_has_no_contiguity_and_the_same_words(some: Recalls) -> None:
    shuffled = curves_of(some.shuffled(0))
    assert shuffled.temporal.mean() == pytest.approx(0.5, abs=0.03)
    recalled = [sum(one in order for order in some.orders) for one in range(1, 17)]
    lists = len(some.orders) / 10
    np.testing.assert_allclose(shuffled.serial.sum(axis=0), np.array(recalled) / lists)
    found = find(shuffled)
    assert [found[name].is_there for name in FINDINGS] == [True, True, False, False]


def test_halves_of_people_share_nobody(people: Recalls) -> None:
    first, second = people.of_half(0), people.of_half(1)
    assert not set(first.subjects) & set(second.subjects)
    assert len(first.orders) + len(second.orders) == len(people.orders)


def test_without_psifr_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(people_module, "import_module", missing)
    with pytest.raises(MissingExtraError, match="needs the extra 'human'"):
        read_people("peers")


def test_an_experiment_tells_its_verdicts(
    some: Recalls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_module, "read_people", lambda study: some)
    plan = make_plan("freerecall", "small", {"models": ["people", "shuffled"], "seeds": [0]})
    records = [execute(spec) for spec in plan.specs(tmp_path)]
    assert [record.status for record in records] == ["done", "done"]
    told = find_experiment("freerecall").tell(records)
    assert [line.split(" (")[0] for line in told] == [
        *(f"people: {name}: yes" for name in FINDINGS),
        "shuffled: primacy: yes",
        "shuffled: recency: yes",
        "shuffled: contiguity: no",
        "shuffled: asymmetry: no",
    ]
    (picture,) = find_experiment("freerecall").draw(records, tmp_path)
    assert picture.stat().st_size > 1000


SETTINGS: dict[str, Any] = {"num_reminded_stm": 2, "stm_capacity": 2, "ltm_search_depth": 5}
SETTINGS |= {"initial_lifespan": 50.0, "num_final_ltms": 0, "rule": "correlation:32"}


def test_words_that_followed_each_other_are_linked_in_memoria_alone() -> None:
    made = {name: learn(name, 8, 10, SETTINGS, 0) for name in ("memoria", "random", "none")}
    links = made["memoria"].links
    np.testing.assert_array_equal(links.diagonal(axis1=1, axis2=2), 1)
    assert (links[:, range(9), range(1, 10)] > 0).all()
    assert not links[:, 0, 3:].any()
    for of_list, random in zip(links, made["random"].links, strict=True):
        np.testing.assert_array_equal(np.sort(of_list, axis=None), np.sort(random, axis=None))
    np.testing.assert_array_equal(made["none"].links, np.broadcast_to(np.eye(10), links.shape))
    np.testing.assert_array_equal(made["none"].strengths, made["memoria"].strengths)


def test_a_forgotten_word_leads_nowhere() -> None:
    found = learn("memoria", 4, 10, {**SETTINGS, "initial_lifespan": 3.0, "rule": "uniform:0"}, 0)
    assert not found.links[:, 0, 1:].any()
    assert (found.strengths[:, 0] < found.strengths[:, 9]).all()


def test_fitting_finds_the_constants_that_made_the_lists() -> None:
    traces = learn("memoria", 16, 12, SETTINGS, 0)
    lists = Recalls(12, [1] * 1500, [[]] * 1500)
    constants = Constants(stop=-4.0, stop_late=4.0, link=3.0, strength=-0.5)
    recalled = recall_lists(lists, traces, constants, 0)
    found = fit(recalled, traces)
    assert vars(found) == pytest.approx(vars(constants), abs=0.25)
    assert loss(recalled, traces, found) <= loss(recalled, traces, constants)
    assert recall_lists(lists, traces, constants, 0) == recalled


def test_without_constants_every_word_is_as_likely() -> None:
    traces = learn("nearest", 1, 4, SETTINGS, 0)
    recalls = Recalls(4, [1], [[2, INTRUSION, 4, 1]])
    expected = np.log([4, 3, 2]).mean()
    assert loss(recalls, traces, Constants()) == pytest.approx(expected)


def test_a_memory_is_measured_on_people_it_was_not_fitted_to(
    some: Recalls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(people_module, "read_people", lambda study: some)
    plan = make_plan("freerecall", "small", {"models": ["memoria", "chance"], "seeds": [0]})
    memory, chance = (execute(spec).metrics for spec in plan.specs(tmp_path))
    assert memory["lists"] == len(some.of_half(1).orders)
    assert memory["loss"] < chance["loss"]
    assert memory["distance"] < chance["distance"]


def test_context_leads_forwards_and_to_near_words() -> None:
    context = {"rho": 0.5, "gamma": 0.4, "decay": 1.0}
    (links,) = learn("tcm", 1, 8, context, 0).links
    assert links[3, 4] == pytest.approx(0.4 * 0.5 + 0.6 * np.sqrt(0.75) * 0.5)
    assert links[3, 2] == pytest.approx(0.4 * 0.5)
    assert (np.diff(links[0]) < 0).all()
    np.testing.assert_allclose(links.diagonal(), 1)
    (symmetric,) = learn("tcm", 1, 8, {**context, "gamma": 1.0}, 0).links
    np.testing.assert_allclose(symmetric, symmetric.T)


def test_an_unknown_setting_of_the_memory_is_named() -> None:
    with pytest.raises(ConfigError, match="stm_capacitee"):
        learn("memoria", 1, 4, {**SETTINGS, "stm_capacitee": 4}, 0)
