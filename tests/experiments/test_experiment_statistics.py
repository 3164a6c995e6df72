"""The statistics of experiments against definitions counted out by hand."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import scipy.stats  # noqa: F401 (loaded here, so that no example has to wait for it)
from hypothesis import given
from hypothesis import strategies as st

from memoria.errors import MissingExtraError
from memoria.experiments.statistics import (
    area_under_curve,
    bootstrap_interval,
    bootstrap_intervals,
    paired_t_p,
    rank_correlation,
    sign_flip_p,
    t_interval,
    welch_p,
)

NUMBERS = st.lists(st.integers(-8, 8).map(float), min_size=1, max_size=9)


@given(NUMBERS, NUMBERS)
def test_the_area_counts_pairs(positive: list[float], negative: list[float]) -> None:
    pairs = list(itertools.product(positive, negative))
    won = sum((a > b) + (a == b) / 2 for a, b in pairs)
    assert area_under_curve(positive, negative) == pytest.approx(won / len(pairs))
    swapped = area_under_curve(negative, positive)
    assert swapped is not None
    assert swapped == pytest.approx(1 - won / len(pairs))


def test_students_interval_and_tests_against_tables() -> None:
    """t of 2 degrees of freedom at 97.5 % is 4.3027; of 8 at 97.5 % 2.3060."""
    low, high = t_interval([1.0, 2.0, 3.0]) or (0.0, 0.0)
    assert (low, high) == pytest.approx((2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    assert t_interval([1.0]) is None
    mean = 4.3027 * 3**-0.5  # so that t is at the 5 % point
    assert paired_t_p([mean - 1, mean, mean + 1]) == pytest.approx(0.05, abs=1e-5)
    assert paired_t_p([1.0, 1.0]) is None
    base = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    gap = 2.3060  # sd of the difference of means is 1, 8 degrees of freedom
    assert welch_p(base + gap, base) == pytest.approx(0.025, abs=1e-5)
    assert welch_p(base, base + gap) == pytest.approx(0.975, abs=1e-5)
    assert welch_p([1.0], [1.0, 2.0]) is None
    assert welch_p([1.0, 1.0], [1.0, 1.0]) is None


def test_the_area_needs_both() -> None:
    assert area_under_curve([], [1.0]) is None
    assert area_under_curve([1.0], []) is None


@given(st.lists(st.integers(-5, 5).map(float), min_size=2, max_size=8))
def test_the_sign_flip_test_tries_all_signs(differences: list[float]) -> None:
    seen = abs(sum(differences))
    flips = itertools.product((1, -1), repeat=len(differences))
    sums = [abs(sum(s * d for s, d in zip(signs, differences, strict=True))) for signs in flips]
    assert sign_flip_p(differences) == np.mean([one >= seen for one in sums])


def test_three_pairs_cannot_say_more_than_a_quarter() -> None:
    assert sign_flip_p([1.0, 1.5, 2.0]) == 0.25
    assert sign_flip_p([1.0]) is None


def test_many_pairs_are_drawn_and_repeat() -> None:
    rng = np.random.default_rng(1)
    differences = rng.normal(0.3, 1.0, 20)
    p = sign_flip_p(differences)
    assert p == sign_flip_p(differences)
    assert p is not None
    assert 0.0 < p < 1.0
    assert sign_flip_p(np.full(20, 0.5)) == pytest.approx(1e-4, abs=2e-4)
    assert sign_flip_p(np.zeros(20)) == 1.0


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12))
def test_the_bootstrap_repeats_and_stays_within_the_range(values: list[float]) -> None:
    found = bootstrap_interval(values)
    assert found == bootstrap_interval(values)
    assert found is not None
    assert min(values) - 1e-9 <= found[0] <= found[1] <= max(values) + 1e-9


def test_the_bootstrap_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(60):
        found = bootstrap_interval(rng.normal(1.0, 2.0, 40))
        assert found is not None
        covered += found[0] <= 1.0 <= found[1]
    assert covered >= 50


def test_many_intervals_at_once_are_those_of_each() -> None:
    values = np.random.default_rng(0).normal(size=(3, 150))
    found = bootstrap_intervals(values)
    for one, ends in zip(values, found, strict=True):
        assert ends == pytest.approx(bootstrap_interval(one), abs=1e-9)


@pytest.mark.parametrize("values", [[1.0, 2.0], [[1.0]], [[1.0, float("nan")]]])
def test_many_intervals_are_of_finite_numbers(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        bootstrap_intervals(values)


def test_one_value_has_no_interval() -> None:
    assert bootstrap_interval([2.0]) is None


@pytest.mark.parametrize("values", [[], [float("nan")], [[1.0]]])
def test_what_is_no_list_of_numbers_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        bootstrap_interval(values)


def test_rank_correlation() -> None:
    assert rank_correlation([1, 2, 3, 4], [10, 20, 30, 400]) == pytest.approx(1.0)
    assert rank_correlation([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert rank_correlation([1, 1, 1], [1, 2, 3]) is None
    assert rank_correlation([1, 2], [1, 2]) is None


def test_without_scipy_the_hint_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(MissingExtraError) as error:
        bootstrap_interval([1.0, 2.0])
    assert "pip install 'memoria-engrams[train]'" in str(error.value)
