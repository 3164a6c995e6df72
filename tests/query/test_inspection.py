"""`Inspection` against an independent recount: a `Memoria` that lived the same steps."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memoria import Memoria, MemoriaConfig
from memoria.chunkstore.files import StoreFiles
from memoria.errors import DamageError, InputError, StoreNotFoundError
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore
from memoria.store.schema import expected_specs

DIM = 4
KINDS = {1: "working", 2: "shortterm", 3: "longterm"}


@dataclass
class Told:
    """What the recount saw of one engram, by its id in the store."""

    created: int
    gains: list[tuple[int, float]] = field(default_factory=list)
    kinds: dict[int, str] = field(default_factory=dict)  # after which step it was what
    lifespan: float = 0.0
    gone: int | None = None


class Recount:
    """A store and a `Memoria` beside it; everything is counted from the latter, step by step."""

    def __init__(self, path: Path, config: MemoriaConfig, seed: int) -> None:
        self.path, self.config, self.steps = path, config, 0
        self.told: dict[int, Told] = {}
        self.fired: list[list[set[int]]] = []  # [step][lane]
        self.texts: dict[int, str] = {}
        self._random = random.Random(seed)
        self._memoria = Memoria(
            config.num_reminded_stm,
            config.stm_capacity,
            config.ltm_search_depth,
            config.initial_lifespan,
            config.num_final_ltms,
            track_age=True,
            track_id=True,
            seed=config.seed,
        )
        self.store = MemoryStore.create(path, config)

    @property
    def engrams(self) -> Any:
        return self._memoria.engrams

    def ids(self) -> list[list[int]]:
        """The store's ids of the living, lane by lane."""
        lanes = self.config.lanes
        if not self.told:
            return [[] for _ in range(lanes)]
        ids = self.engrams.engram_ids.tolist()
        return [
            [local * lanes + lane for local in row if local >= 0] for lane, row in enumerate(ids)
        ]

    def add(self) -> None:
        width = self._random.randint(1, 3)
        numbers = [self._random.gauss(0, 1) for _ in range(self.config.lanes * width * DIM)]
        data = torch.tensor(numbers).reshape(self.config.lanes, width, DIM)
        texts = [
            [f"step {self.steps + 1} lane {lane} place {place}" for place in range(width)]
            for lane in range(self.config.lanes)
        ]
        ids = self.store.add(data, texts)
        self._memoria.add_working_memory(data)
        for row, said in zip(ids.tolist(), texts, strict=True):
            for id_, text in zip(row, said, strict=True):
                begun = (self.steps + 1, self.config.initial_lifespan)
                self.told[id_] = Told(self.steps + 1, [begun], {}, begun[1])
                self.texts[id_] = text

    def remind(self) -> torch.Tensor:
        reminded = self.store.remind()
        _, indices = self._memoria.remind()
        assert np.array_equal(reminded.indices, indices)
        self._reminded = [[id_ for id_ in row if id_ >= 0] for row in reminded.ids.tolist()]
        new = {id_ for id_, told in self.told.items() if told.created == self.steps + 1}
        self.fired.append(
            [
                {*row, *(id_ for id_ in new if id_ % self.config.lanes == lane)}
                for lane, row in enumerate(self._reminded)
            ]
        )
        return indices

    def step(self) -> None:
        self.add()
        indices = self.remind()
        rows = [[self._random.randint(-8, 40) / 8 for _ in row] for row in indices.tolist()]
        gains = torch.tensor(rows, dtype=torch.float64).reshape(indices.shape)
        for lane, ids in enumerate(self._reminded):
            for id_, gain in zip(ids, gains[lane].tolist(), strict=False):
                self.told[id_].gains.append((self.steps + 1, gain))
        self.store.adjust(gains)
        self._memoria.adjust_lifespan_and_memories(indices, gains)
        self.steps += 1
        self._look()

    def _look(self) -> None:
        living: set[int] = set()
        for lane, ids in enumerate(self.ids()):
            for index, id_ in enumerate(ids):
                kind = int(self.engrams.engrams_types[lane, index])
                self.told[id_].kinds[self.steps] = KINDS[kind]
                self.told[id_].lifespan = float(self.engrams.lifespan[lane, index])
                living.add(id_)
        for id_, told in self.told.items():
            if id_ not in living and told.gone is None:
                told.gone = self.steps

    def together(self, one: int, other: int) -> int:
        return sum(one in lane and other in lane for step in self.fired for lane in step)

    def times(self, id_: int) -> int:
        return self.together(id_, id_)


def config_of(**changes: Any) -> MemoriaConfig:
    values: dict[str, Any] = {
        "hidden_dim": DIM,
        "lanes": 2,
        "num_reminded_stm": 2,
        "stm_capacity": 4,
        "ltm_search_depth": 2,
        "initial_lifespan": 4.5,
        "num_final_ltms": 3,
        "backbone": "array",
    }
    return MemoriaConfig(**{**values, **changes})


def check(view: Inspection, lived: Recount) -> None:
    """Every number of every document."""
    lanes = lived.config.lanes
    living = sorted(id_ for row in lived.ids() for id_ in row)
    types = lived.engrams.engrams_types if living else torch.zeros(lanes, 0)
    created = len(lived.told)

    summary = view.summary()
    assert summary["path"] == str(lived.path)
    assert summary["step"] == lived.steps
    assert summary["config"] == lived.config.model_dump(mode="json")
    assert summary["digest"] == lived.store.digest()
    assert summary["engrams"] == len(living)
    assert summary["connections"] == sum(
        lived.together(a, b) > 0 for a in living for b in living if a != b
    )
    files = [path for path in lived.path.rglob("*") if path.is_file()]
    assert summary["bytes"] == sum(path.stat().st_size for path in files)
    for lane, told in enumerate(summary["lanes"]):
        counts = {kind: int((types[lane] == code).sum()) for code, kind in KINDS.items()}
        forgotten = created // lanes - len(lived.ids()[lane])
        assert told == {"lane": lane, **counts, "forgotten": forgotten}

    listed = view.engram_list()
    assert [one["id"] for one in listed] == living
    for one in listed:
        lane = one["id"] % lanes
        index = lived.ids()[lane].index(one["id"])
        assert one == {
            "id": one["id"],
            "lane": lane,
            "index": index,
            "type": KINDS[int(types[lane, index])],
            "lifespan": float(lived.engrams.lifespan[lane, index]),
            "age": int(lived.engrams.age[lane, index]),
            "fire_count": int(lived.engrams.fire_count[lane, index]),
            "pinned": False,
            "text": lived.texts[one["id"]],
        }

    edges = {(one["source"], one["target"]): one for one in view.edges()}
    counts = lived.engrams.induce_counts
    expected = set()
    for lane, ids in enumerate(lived.ids()):
        for i, source in enumerate(ids):
            for j, target in enumerate(ids):
                count = int(counts[lane, i, j])
                if i != j and count:
                    expected.add((source, target))
                    edge = edges[source, target]
                    assert edge["cofire_count"] == count
                    assert edge["lane"] == lane
                    assert edge["weight"] == count / int(counts[lane, i, i])
    assert edges.keys() == expected
    order = [(-one["weight"], -one["cofire_count"]) for one in view.edges()]
    assert order == sorted(order)
    assert view.edges(limit=5) == view.edges()[:5]

    history = view.history()
    assert [one["step"] for one in history] == list(range(1, lived.steps + 1))
    for one in history:
        step = one["step"]
        fired = sum(map(len, lived.fired[step - 1]))
        new = sum(told.created == step for told in lived.told.values())
        assert (one["added"], one["fired"], one["reminded"]) == (new, fired, fired - new)
        assert one["forgotten"] == sum(told.gone == step for told in lived.told.values())
        assert one["living"] == sum(step in told.kinds for told in lived.told.values())
    gone = [(one["step"], one["id"]) for one in view.forgotten_list()]
    assert gone == sorted(gone, reverse=True)
    assert {id_: step for step, id_ in gone} == {
        id_: told.gone for id_, told in lived.told.items() if told.gone is not None
    }
    for lane in range(lanes):
        of_lane = [one["forgotten"] for one in view.history(lane=lane)]
        assert sum(of_lane) == summary["lanes"][lane]["forgotten"]
        assert [one for one in listed if one["lane"] == lane] == view.engram_list(lane=lane)
        assert [one for one in view.edges() if one["lane"] == lane] == view.edges(lane=lane)
        assert {one["lane"] for one in view.forgotten_list(lane=lane)} <= {lane}
    for id_, told in lived.told.items():
        check_story(view.engram(id_), id_, told, lived, living)


def check_story(
    story: dict[str, Any], id_: int, told: Told, lived: Recount, living: list[int]
) -> None:
    assert (story["id"], story["lane"]) == (id_, id_ % lived.config.lanes)
    assert story["text"] == lived.texts[id_]
    assert story["created"]["step"] == told.created
    assert (story["created"]["time"] is None) == (told.created > lived.steps)
    finished = [one for one in story["firings"] if one["gain"] is not None]
    happened = [(one["step"], one["gain"]) for one in finished]
    if told.created <= lived.steps:
        assert happened == told.gains
    assert story["fire_count"] == lived.times(id_) == len(story["firings"])
    for one in finished:
        gained = sum(gain for step, gain in told.gains if step <= one["step"])
        assert one["lifespan"] == gained - (one["step"] - told.created + 1)
    first = {
        kind: min((s for s, k in told.kinds.items() if k == kind), default=None)
        for kind in ("shortterm", "longterm")
    }
    assert story["shortterm"] == first["shortterm"]
    assert story["longterm"] == first["longterm"]
    if id_ in living:
        assert story["forgotten"] is None
        assert story["age"] == lived.steps - told.created + 1
        assert story["index"] == lived.ids()[story["lane"]].index(id_)
        now = told.kinds.get(lived.steps, "working")
        assert (story["type"], story["lifespan"]) == (now, told.lifespan)
    else:
        assert story["forgotten"]["step"] == told.gone
        assert (story["type"], story["index"]) == ("forgotten", None)
        assert story["lifespan"] <= 0
        assert story["age"] == story["forgotten"]["step"] - told.created + 1
    partners = living if id_ in living else list(lived.told)
    joint = {one: lived.together(id_, one) for one in partners if one != id_}
    joint = {one: count for one, count in joint.items() if count}
    out = sorted(joint, key=lambda one: (-joint[one], one))[:10]
    assert [one["id"] for one in story["outgoing"]] == out
    into = sorted(joint, key=lambda one: (-joint[one] / lived.times(one), -joint[one], one))[:10]
    assert [one["id"] for one in story["incoming"]] == into
    for one in story["outgoing"]:
        assert one["weight"] == joint[one["id"]] / lived.times(id_)
        assert one["cofire_count"] == joint[one["id"]]
        assert one["text"] == lived.texts[one["id"]]
    for one in story["incoming"]:
        assert one["weight"] == joint[one["id"]] / lived.times(one["id"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(0, 14),
    phase=st.sampled_from(["idle", "working", "reminded"]),
    changes=st.fixed_dictionaries(
        {
            "lanes": st.integers(1, 3),
            "stm_capacity": st.sampled_from([0, 1, 4, 9]),
            "initial_lifespan": st.sampled_from([0.5, 1.0, 2.5, 6.0]),
        }
    ),
)
def test_every_number_agrees_with_a_recount(
    seed: int, steps: int, phase: str, changes: dict[str, Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lived = Recount(Path(folder) / "store", config_of(seed=seed, **changes), seed)
        with lived.store:
            for _ in range(steps):
                lived.step()
            if phase != "idle":
                lived.add()
            if phase == "reminded":
                lived.remind()
            lived.store.commit()
            with Inspection.open(lived.path) as view:
                assert view.summary()["phase"] == phase
                check(view, lived)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Recount:
    made = Recount(tmp_path_factory.mktemp("lived") / "store", config_of(), 7)
    with made.store:
        for _ in range(40):
            made.step()
    return made


def test_a_store_written_out_reads_the_same_as_its_log(lived: Recount) -> None:
    with Inspection.open(lived.path) as view:
        check_after_close = view.history()
        assert view.summary()["engrams"] == len(view.engram_list())
    assert sum(one["forgotten"] for one in check_after_close) > 0
    files = StoreFiles.open(lived.path, "r", expected_specs)
    assert files.attributes["state"]["generation"] is not None  # closing wrote the state
    files.close()


def test_limits_take_the_beginning_and_of_history_the_end(lived: Recount) -> None:
    with Inspection.open(lived.path) as view:
        assert view.engram_list(3) == view.engram_list()[:3]
        assert view.forgotten_list(3) == view.forgotten_list()[:3]
        assert view.history(3) == view.history()[-3:]
        assert view.history(1000) == view.history()


def test_histograms_count_everyone_once(lived: Recount) -> None:
    with Inspection.open(lived.path) as view:
        engrams = view.engram_list()
        for lane in (None, 0, 1):
            mine = [one for one in engrams if lane is None or one["lane"] == lane]
            for name, bins in view.histograms(lane).items():
                assert sum(one["count"] for one in bins) == len(mine)
                for one in bins:
                    inside = [e for e in mine if one["from"] <= e[name] < one["to"]]
                    assert len(inside) == one["count"]
                ends = [one["to"] for one in bins]
                assert [one["from"] for one in bins][1:] == ends[:-1]


def test_times_are_in_utc_and_in_order(lived: Recount) -> None:
    with Inspection.open(lived.path) as view:
        times = [one["time"] for one in view.history()]
        summary = view.summary()
        assert (summary["first_step_time"], summary["last_step_time"]) == (times[0], times[-1])
    assert times == sorted(times)
    assert all(len(time) == len("2025-01-31T12:00:00.000Z") and time[-1] == "Z" for time in times)


def test_connections_are_not_counted_where_there_are_too_many(
    lived: Recount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memoria.query.inspection.COUNTED_PAIRS", 10)
    with Inspection.open(lived.path) as view:
        assert view.pairs > 10
        assert view.summary()["connections"] is None


def test_an_empty_store_is_told_too(tmp_path: Path) -> None:
    MemoryStore.create(tmp_path / "s", config_of()).close()
    with Inspection.open(tmp_path / "s") as view:
        summary = view.summary()
        lists = (view.engram_list(), view.edges(), view.history(), view.forgotten_list())
        assert lists == ([], [], [], [])
        assert view.histograms() == {"lifespan": [], "age": []}
        with pytest.raises(InputError, match="no engrams yet"):
            view.engram(0)
    assert (summary["engrams"], summary["connections"], summary["last_step_time"]) == (0, 0, None)


def test_unknown_ids_and_lanes_name_the_valid_ones(lived: Recount) -> None:
    with Inspection.open(lived.path) as view:
        for wrong in (-1, view.created):
            with pytest.raises(InputError, match=rf"0 to {view.created - 1}"):
                view.engram(wrong)
        for ask in (view.engram_list, view.edges, view.history, view.forgotten_list):
            with pytest.raises(InputError, match=r"lane = 2.*0 to 1"):
                ask(lane=2)


def test_the_longest_lifespans_stay_numbers(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "s", config_of(lanes=1)) as store:
        store.step(np.ones((1, DIM), np.float32))
        for _ in range(2):
            store.add(np.ones((1, DIM), np.float32))
            store.remind()
            with pytest.raises(InputError, match="1e\\+300"):
                store.adjust(1e300)
            store.adjust(2.0**52)
    with Inspection.open(tmp_path / "s") as view:
        documents = [view.summary(), view.engram_list(), view.engram(0), view.histograms()]
        assert view.engram(0)["lifespan"] == view.engram_list()[0]["lifespan"] >= 2.0**53
    assert json.dumps(documents, allow_nan=False)


def test_texts_and_places_come_with_an_engram(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "s", config_of(lanes=1)) as store:
        data = np.eye(DIM, dtype=np.float32)[:2]
        store.step(data, texts=["einer", None], places=[("a.txt", 7), None])
    with Inspection.open(tmp_path / "s") as view:
        told = [view.engram(id_) for id_ in (0, 1)]
    assert [(one["text"], one["source"], one["offset"]) for one in told] == [
        ("einer", "a.txt", 7),
        (None, None, None),
    ]


def test_a_reader_stays_with_the_state_it_opened(tmp_path: Path) -> None:
    lived = Recount(tmp_path / "s", config_of(), 3)
    with lived.store:
        lived.step()
        lived.store.commit()
        with Inspection.open(lived.path) as view:
            before = view.summary()
            lived.step()
            lived.store.commit()
            again = view.summary()
    assert {**before, "bytes": 0} == {**again, "bytes": 0}


def test_a_log_that_names_what_never_was_is_damage(tmp_path: Path) -> None:
    lived = Recount(tmp_path / "s", config_of(), 3)
    with lived.store:
        for _ in range(3):
            lived.step()
    files = StoreFiles.open(lived.path, "r+", expected_specs)
    files.append("log/ids", np.array([10**9]))
    files.append("log/expiry", np.array([math.inf]))
    files.commit()
    files.close()
    with pytest.raises(DamageError), Inspection.open(lived.path) as view:
        view.history()


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        Inspection.open(tmp_path / "nothing")


def test_looking_loads_no_tensor_library(lived: Recount) -> None:
    script = """
import sys
from memoria.query.inspection import Inspection
with Inspection.open(sys.argv[1]) as view:
    view.summary(), view.histograms(), view.engram_list(), view.edges(), view.history()
    view.forgotten_list(), view.engram(0), view.engram(view.created - 1)
print([name for name in ("torch", "transformers", "zarr") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(lived.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
