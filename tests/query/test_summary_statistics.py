"""Pictures of a memory as numbers, against slow recounts of what `Inspection` tells."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from past_lives import PastLife

from memoria.query.inspection import Inspection
from memoria.query.summary_statistics import hubs, pyramid, survival
from memoria.store import MemoryStore
from memoria.store.compacting import compact

SEEDS = (1, 2, 3, 4, 5, 7, 8, 11)


@pytest.fixture(params=SEEDS)
def view(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    life = PastLife(request.param)
    with MemoryStore.create(tmp_path / "store", life.config) as store:
        for step in range(40):
            life.step(store, step)
        if request.param % 2:
            life.add(store, 40)
    with Inspection.open(tmp_path / "store") as found:
        yield found


def lanes_of(view: Inspection) -> list[int | None]:
    return [None, *range(view.config.lanes)]


def test_the_pyramid_counts_everyone_once(view: Inspection) -> None:
    for lane in lanes_of(view):
        bands = pyramid(view, lane)
        listed = view.engram_list(lane=lane)
        assert len(bands) <= 10
        assert bool(bands) == bool(listed)
        for band in bands:
            for kind in ("working", "shortterm", "longterm"):
                inside = [
                    one["id"]
                    for one in listed
                    if one["type"] == kind and band["from"] <= one["age"] <= band["to"]
                ]
                assert band[kind] == len(inside)
        counted = sum(band[k] for band in bands for k in ("working", "shortterm", "longterm"))
        assert counted == len(listed)


def lived(view: Inspection, lane: int | None) -> list[tuple[int, bool]]:
    """(age, whether it was forgotten by itself) of everyone."""
    alive = [(one["age"], False) for one in view.engram_list(lane=lane)]
    gone = [(one["age"], not one["by_hand"]) for one in view.forgotten_list(lane=lane)]
    return alive + gone


def test_survival_is_the_product_of_what_each_age_leaves(view: Inspection) -> None:
    for lane in lanes_of(view):
        told, ages = survival(view, lane), lived(view, lane)
        assert (told["engrams"], told["since"]) == (len(ages), 0)
        shares = {}
        share = 1.0
        for age in range(max(age for age, _ in ages) + 1):
            at_risk = sum(other >= age for other, _ in ages)
            ended = sum(other == age and gone for other, gone in ages)
            share *= 1 - ended / at_risk
            shares[age] = share
        assert [one["age"] for one in told["points"]] == list(shares)  # few enough to have all
        for one in told["points"]:
            assert math.isclose(one["share"], shares[one["age"]], abs_tol=1e-6)
        halves = [age for age, share in shares.items() if share <= 0.5]
        assert told["median"] == (halves[0] if halves else None)


def test_hubs_are_those_with_most_partners(view: Inspection) -> None:
    for lane in lanes_of(view):
        expected = []
        for one in view.engram_list(lane=lane):
            ways = [way for way in view.edges(lane=one["lane"]) if way["source"] == one["id"]]
            if ways:
                expected.append((-len(ways), one["id"], one, ways))
        expected.sort(key=lambda item: item[:2])
        found = hubs(view, lane, most=4, each=3)
        assert [(-one["partners"], one["id"]) for one in found] == [e[:2] for e in expected[:4]]
        for one, (_, _, listed, ways) in zip(found, expected, strict=False):
            for key in ("lane", "type", "fire_count", "text"):
                assert one[key] == listed[key]
            assert [way["id"] for way in one["connections"]] == [w["target"] for w in ways[:3]]
            assert [way["weight"] for way in one["connections"]] == [w["weight"] for w in ways[:3]]
            texts = view.texts([way["id"] for way in one["connections"]])
            assert [way["text"] for way in one["connections"]] == texts


def test_after_compaction_survival_counts_from_there(tmp_path: Path) -> None:
    life = PastLife(2)
    with MemoryStore.create(tmp_path / "store", life.config) as store:
        for step in range(30):
            life.step(store, step)
    compact(tmp_path / "store")
    with MemoryStore.open(tmp_path / "store", "r+") as store:
        for step in range(30, 50):
            life.step(store, step)
    with Inspection.open(tmp_path / "store") as view:
        told = survival(view)
        alive = [one for one in view.engram_list() if 50 - one["age"] >= 30]
        gone = [one for one in view.forgotten_list() if one["step"] - one["age"] >= 30]
        assert told["since"] == 30
        assert told["engrams"] == len(alive) + len(gone)
        assert told["points"][-1]["age"] <= 20
        assert sum(band["longterm"] for band in pyramid(view)) > 0
        assert hubs(view)
