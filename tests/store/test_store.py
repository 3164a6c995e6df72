"""`MemoryStore`: the memory of `Memoria`, kept in files, and nothing else in them."""

from __future__ import annotations

import json
import math
import random
import tempfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from lives import HYPER, LONG, Settings, ages_of, any_setting, gains, ids_of, vectors
from spec_reader import SpecReader, same_float32

from memoria import Memoria, MemoriaConfig
from memoria.chunkstore.codec import encode_file
from memoria.chunkstore.root import Root, encode_attributes, read_root
from memoria.chunkstore.sources.local import LocalSource
from memoria.errors import ConfigError, DamageError, InputError, MemoriaError, StateError
from memoria.store import MemoryStore, life, open_memory
from memoria.store import vectors as vectors_module
from memoria.store.reading import open_files
from memoria.store.state import state_arrays

Tree = dict[str, bytes]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def config_from(setting: Settings, **changes: Any) -> MemoriaConfig:
    hyper = {name: setting[name] for name in HYPER if name != "lane_ids"}
    hyper["initial_lifespan"] = float(setting["initial_lifespan"])
    return MemoriaConfig(
        hidden_dim=setting["dim"], lanes=setting["lanes"], backbone="array", **hyper, **changes
    )


def memoria_from(setting: Settings) -> Memoria:
    hyper = {name: setting[name] for name in HYPER if name != "lane_ids"}
    return Memoria(**hyper, track_age=True, track_id=True)


def tree(path: Path) -> Tree:
    """Every file but the locks."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name not in (".lock", ".lease")
    }


def life_of(path: Path) -> life.Life:
    files = open_files(path)
    try:
        config = files.config
        return life.fold(files, config, life.StepTable.read(files))
    finally:
        files.close()


def assert_life_is(path: Path, memoria: Memoria) -> None:
    """The committed state is that of ``memoria``: ids, types, expiry, age, fire counts."""
    found, engrams = life_of(path), memoria.engrams
    assert found.step == memoria.timestep
    for lane in range(found.lanes):
        mine = found.of_lane(lane)
        living = engrams.engrams_types[lane] != 0
        assert (found.ids[mine] // found.lanes).tolist() == ids_of(memoria)[lane][living].tolist()
        assert found.types[mine].tolist() == engrams.engrams_types[lane][living].tolist()
        left = found.lifespan()[mine].astype(np.float32).tolist()
        assert left == engrams.lifespan[lane][living].tolist()
        ages = (found.step - found.born[mine]).tolist()
        assert ages == ages_of(memoria)[lane][living].tolist()
        assert found.fires[mine].tolist() == engrams.fire_count[lane][living].tolist()
        assert found.pinned[mine].tolist() == memoria.pinned[lane][living].tolist()


def assert_as_the_spec_reads_it(path: Path) -> None:
    """What the specification's own reader finds is what the library says."""
    reader, found = SpecReader(path), life_of(path)
    state = reader.state()
    assert list(state.engrams) == found.ids.tolist()
    assert [e.kind for e in state.engrams.values()] == found.types.tolist()
    assert [e.expiry for e in state.engrams.values()] == found.expiry.tolist()
    assert [e.born for e in state.engrams.values()] == found.born.tolist()
    assert [e.fires for e in state.engrams.values()] == found.fires.tolist()
    assert [e.pinned for e in state.engrams.values()] == found.pinned.tolist()
    assert reader.digest() == reader.attributes["digest"]
    assert reader.attributes["step"] == found.step
    about = reader.attributes["state"]
    if about["generation"] is None:
        assert "state" not in reader.group
        return
    happened = about.get("events", 0)
    written = reader.group[f"state/{about['generation']}"]
    old = reader.state(about["step"], happened)
    assert about["rows"] == reader.rows_after(old.step)
    assert about["log_end"] == reader.log_after(old.step)
    assert written["ids"][...].tolist() == list(old.engrams)
    engrams = list(old.engrams.values())
    assert written["types"][...].tolist() == [e.kind for e in engrams]
    assert written["expiry"][...].tolist() == [e.expiry for e in engrams]
    assert written["born"][...].tolist() == [e.born for e in engrams]
    assert written["fires"][...].tolist() == [e.fires for e in engrams]
    left = [float(np.float32(e.expiry - old.step)) for e in engrams]
    assert written["lifespan"][...].tolist() == left
    edges = reader.edges(old.step, events=happened)
    assert written["edges/source"][...].tolist() == [edge[0] for edge in edges]
    assert written["edges/target"][...].tolist() == [edge[1] for edge in edges]
    assert written["edges/count"][...].tolist() == [edge[2] for edge in edges]
    weights = written["edges/weight"][...].tolist()
    assert all(same_float32(a, edge[3]) for a, edge in zip(weights, edges, strict=True))


def reopened(store: MemoryStore, rng: random.Random) -> MemoryStore:
    """The same store after one of the ways in which its process may have ended."""
    path, how = store.path, rng.choice(("leave", "commit and close", "commit"))
    if how == "leave":
        with store:
            pass
    else:
        store.commit()
        if how == "commit":
            return store
        store.close()
    return MemoryStore.open(path, "r+")


# -- the same memory -----------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    setting=any_setting(),
    layout=st.sampled_from(["dense", "sparse", "auto"]),
    seed=st.integers(0, 2**32),
    steps=st.integers(1, 9),
)
def test_a_store_is_the_memory_it_keeps(
    setting: Settings, layout: str, seed: int, steps: int
) -> None:
    live_beside_memoria(setting, layout, seed, steps, reload_one_in=3)


@pytest.mark.parametrize(("layout", "seed"), [("dense", 1), ("sparse", 2), ("auto", 3)])
def test_a_long_life_beside_memoria(layout: str, seed: int) -> None:
    live_beside_memoria(LONG, layout, seed, 50, reload_one_in=6)


def live_beside_memoria(
    setting: Settings, layout: str, seed: int, steps: int, reload_one_in: int
) -> None:
    rng, memoria = random.Random(seed), memoria_from(setting)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "store"
        store = MemoryStore.create(path, config_from(setting, layout=layout))

        def perhaps_reload() -> None:
            nonlocal store
            if rng.randrange(reload_one_in) == 0:
                store = reopened(store, rng)

        for _ in range(steps):
            for _ in range(rng.choice((1, 1, 1, 2))):
                data = vectors(
                    rng, setting["data"], setting["lanes"], rng.randint(1, setting["wmax"]),
                    setting["dim"],
                )  # fmt: skip
                memoria.add_working_memory(data)
                store.add(data)
                perhaps_reload()
            memories, indices = memoria.remind()
            reminded = store.remind()
            perhaps_reload()
            assert np.array_equal(reminded.indices, indices)
            assert np.array_equal(reminded.memories, memories)
            delta = gains(rng, setting["delta"], indices)
            memoria.adjust_lifespan_and_memories(indices, delta)
            store.adjust(delta)
            assert store.timestep == memoria.timestep
            perhaps_reload()
        store.commit()
        assert_life_is(path, memoria)
        assert_as_the_spec_reads_it(path)
        with store:
            pass
        assert_life_is(path, memoria)
        assert_as_the_spec_reads_it(path)


def test_a_plain_zarr_reader_sees_the_memory(tmp_path: Path) -> None:
    """Vectors, lifespans, types, connection weights and the log, without our reader."""
    memoria, path = memoria_from(LONG), tmp_path / "store"
    rng, fired = random.Random(4), []
    with MemoryStore.create(path, config_from(LONG)) as store:
        for _ in range(30):
            data = vectors(rng, "normal", 2, 2, 3)
            new = store.add(data)
            memoria.add_working_memory(data)
            _, indices = memoria.remind()
            ids = store.remind().ids
            fired.append(sorted({*new.flatten().tolist(), *ids[ids >= 0].tolist()}))
            delta = gains(rng, "eighths", indices)
            memoria.adjust_lifespan_and_memories(indices, delta)
            store.adjust(delta)

    group: Any = zarr.open_group(path, mode="r")
    state = group["state"][str(group.attrs["memoria"]["state"]["generation"])]
    ids, engrams = state["ids"][...], memoria.engrams
    weights: dict[tuple[int, int], float] = {
        (int(a), int(b)): float(weight)
        for a, b, weight in zip(
            state["edges/source"][...], state["edges/target"][...], state["edges/weight"][...],
            strict=True,
        )
    }  # fmt: skip
    seen = 0
    for lane in range(2):
        living = engrams.engrams_types[lane] != 0
        mine = ids % 2 == lane
        data = group["vectors"].oindex[ids[mine]]
        assert data.tolist() == engrams.data[lane][living].tolist()
        assert state["types"][...][mine].tolist() == engrams.engrams_types[lane][living].tolist()
        assert state["lifespan"][...][mine].tolist() == engrams.lifespan[lane][living].tolist()
        counts = engrams.induce_counts[lane][living][:, living]
        for i, a in enumerate(ids[mine].tolist()):
            for j, b in enumerate(ids[mine].tolist()):
                expected = np.float32(int(counts[i, j]) / int(counts[i, i]))
                assert weights.get((a, b), 0.0) == (0.0 if i == j else expected)
                seen += (a, b) in weights
    assert seen == len(weights) > 50

    ends = [0, *group["log/steps"][:, 2].tolist()]
    log = group["log/ids"][...].tolist()
    assert [sorted(log[a:b]) for a, b in pairwise(ends)] == fired


def test_the_written_state_saves_folding_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """States written at close, by log volume, and never, are the same memory."""
    digests, lives = [], []
    for name, log_per_state, tidy in (
        ("often", 40, 0),
        ("close", 10**9, 10**9),
        ("never", 10**9, 0),
    ):
        monkeypatch.setattr(open_memory, "_LOG_PER_STATE", log_per_state)
        monkeypatch.setattr(open_memory, "_TIDY_AT_CLOSE", tidy)
        rng, path = random.Random(9), tmp_path / name
        store = MemoryStore.create(path, config_from(LONG))
        for step in range(40):
            store.step(vectors(rng, "normal", 2, 2, 3), "uniform:2.25")
            store.commit()
            if step == 30:
                with store:
                    pass
                store = MemoryStore.open(path, "r+")
        digests.append(store.digest())
        store.close()
        lives.append(life_of(path))
        generation = SpecReader(path).attributes["state"]["generation"]
        assert (generation is None) == (name == "never")
        assert (generation or 0) > (2 if name == "often" else -1)
        assert_as_the_spec_reads_it(path)
    assert digests[0] == digests[1] == digests[2]
    for other in lives[1:]:
        for field in ("ids", "types", "expiry", "born", "fires", "first_short"):
            np.testing.assert_array_equal(getattr(lives[0], field), getattr(other, field))


@pytest.mark.parametrize("layout", ["sparse", "dense"])
def test_the_state_written_from_the_core_is_what_the_log_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: Literal["sparse", "dense"]
) -> None:
    config = config_from(LONG).replace(layout=layout)
    for name, most_living in (("written", 10**9), ("log", 0)):
        monkeypatch.setattr(open_memory, "_TIDY_AT_CLOSE", most_living)
        rng = random.Random(4)
        with MemoryStore.create(tmp_path / name, config) as store:
            for step in range(30):
                reminded = store.step(vectors(rng, "normal", 2, 3, 3), "uniform:2.25")
                if step == 20:
                    store.pin([int(reminded.ids.max())])
                    store.forget([int(reminded.ids[0, 0])])
    written, log = open_files(tmp_path / "written"), open_files(tmp_path / "log")
    try:
        head, arrays = state_arrays(log, 1)
        assert written.attributes.state == head
        for spec, values in arrays:
            np.testing.assert_array_equal(written.read(spec.name), values, spec.name)
    finally:
        written.close()
        log.close()


def test_a_small_pool_of_vectors_gives_the_same_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for least in (1024, 3, 9, 17):
        monkeypatch.setattr(vectors_module, "_LEAST_ROWS", least)
        monkeypatch.setattr(vectors_module, "_CACHE_BYTES", 2**28 if least == 1024 else 1)
        rng, store = random.Random(3), MemoryStore.create(tmp_path / str(least), config_from(LONG))
        found = []
        for step in range(30):
            reminded = store.step(vectors(rng, "normal", 2, 1 + step % 3, 3), "uniform:4")
            found.append((reminded.ids.tolist(), reminded.memories.tolist()))
            if step % 10 == 5:
                store = reopened(store, rng)
        answers.append((found, store.digest()))
        store.close()
    assert answers[1:] == answers[:1] * 3


def test_wide_working_memory_crosses_files(tmp_path: Path) -> None:
    setting = {**LONG, "lanes": 1, "dim": 2, "stm_capacity": 1500, "num_reminded_stm": 20}
    memoria, path, rng = memoria_from(setting), tmp_path / "store", random.Random(8)
    with MemoryStore.create(path, config_from(setting)) as store:
        for width in (700, 1, 1400, 3):
            data = vectors(rng, "normal", 1, width, 2)
            memoria.add_working_memory(data)
            store.add(data)
            _, indices = memoria.remind()
            assert np.array_equal(store.remind().indices, indices)
            memoria.adjust_lifespan_and_memories(indices, torch.full(indices.shape, 2.0))
            store.adjust(2.0)
            store.commit()
    assert_life_is(path, memoria)
    assert SpecReader(path).vectors[-3:].tolist() == data[0].tolist()


def test_everything_may_be_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with MemoryStore.create(path, config_from({**LONG, "initial_lifespan": 1})) as store:
        for _ in range(3):
            reminded = store.step(torch.ones(2, 2, 3), "uniform:0")
            assert reminded.ids.shape == (2, 0)
    assert life_of(path).ids.tolist() == []
    assert_as_the_spec_reads_it(path)
    with MemoryStore.open(path) as store:
        assert store.peek(torch.ones(2, 1, 3)).ids.shape == (2, 0)
    with MemoryStore.open(path, "r+") as store:
        assert store.add(torch.ones(2, 1, 3)).tolist() == [[12], [13]]


def test_a_store_without_steps(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with MemoryStore.create(path, config_from(LONG)) as store:
        digest = store.digest()
    assert_as_the_spec_reads_it(path)
    with MemoryStore.open(path) as store:
        assert (store.timestep, store.phase, store.digest()) == (0, "idle", digest)
        assert store.config == config_from(LONG)
        assert store.peek(torch.zeros(2, 1, 3)).memories.shape == (2, 0, 3)
        with pytest.raises(StateError, match="no working memory"):
            store.peek()


def test_ids_never_change(tmp_path: Path) -> None:
    store = MemoryStore.create(tmp_path / "store", config_from(LONG))
    rng, kept = random.Random(6), {}
    for step in range(40):
        data = vectors(rng, "normal", 2, 2, 3)
        ids = store.add(data)
        assert ids.tolist() == [[4 * step, 4 * step + 2], [4 * step + 1, 4 * step + 3]]
        for lane, row in enumerate(ids):
            kept.update({int(i): data[lane, place].tolist() for place, i in enumerate(row)})
        reminded = store.remind()
        for lane in range(2):
            valid = reminded.ids[lane] >= 0
            assert (reminded.ids[lane][valid] % 2 == lane).all()
            found = reminded.memories[lane][valid].tolist()
            assert found == [kept[i] for i in reminded.ids[lane][valid].tolist()]
        store.adjust("uniform:3")
        store = reopened(store, rng)
    store.close()


# -- the verbs -----------------------------------------------------------------------------------


def test_rules_against_their_formulas(tmp_path: Path) -> None:
    setting = {**LONG, "lanes": 1, "dim": 2, "initial_lifespan": 20}
    rng = random.Random(12)
    store = MemoryStore.create(tmp_path / "store", config_from(setting, rule="correlation:8"))
    for step, rule in enumerate(["uniform:2.5", "correlation:3", None, "correlation"] * 4):
        data = vectors(rng, "normal", 1, 2, 2) / 2
        store.add(data)
        reminded = store.remind()
        valid = reminded.ids[0] >= 0
        before = reminded.lifespans[0][valid]
        memories = reminded.memories[0][valid].astype(np.float64)
        distance = ((data[0].double().numpy()[:, None] - memories[None]) ** 2).sum(2)
        correlation = np.exp(-distance).mean(0)
        np.testing.assert_allclose(reminded.correlation[0][valid], correlation, rtol=1e-9)
        weight = np.exp(correlation)
        amount = 3.0 if rule == "correlation:3" else 8.0
        expected = weight / weight.sum() * len(weight) * amount
        if rule == "uniform:2.5":
            expected = np.full(len(weight), 2.5)
        store.adjust(rule)
        store.commit()
        after = dict(zip(*(x.tolist() for x in _lifespans(store.path)), strict=True))
        left = [after[i] for i in reminded.ids[0][valid].tolist()]
        np.testing.assert_allclose(left, before + expected - 1, rtol=1e-9, err_msg=f"step {step}")
    store.close()


def _lifespans(path: Path) -> tuple[Any, Any]:
    found = life_of(path)
    return found.ids, found.lifespan()


def test_deltas_in_every_form_are_the_same_numbers(tmp_path: Path) -> None:
    digests = set()
    forms: list[Callable[[list[list[float]]], Any]] = [
        lambda rows: rows,
        np.array,
        torch.tensor,
        lambda rows: torch.tensor(rows, dtype=torch.float16),
        lambda rows: rows[0][0],
    ]
    for number, form in enumerate(forms):
        store = MemoryStore.create(tmp_path / str(number), config_from(LONG))
        rng = random.Random(2)
        for _ in range(6):
            store.add(vectors(rng, "normal", 2, 2, 3))
            width = store.remind().ids.shape[1]
            store.adjust(form([[1.5] * width] * 2) if width else 0)
        digests.add(store.digest())
        store.close()
    assert len(digests) == 1


def test_padding_takes_no_delta(tmp_path: Path) -> None:
    digests = set()
    for number, padding in enumerate((0.0, 7.0, math.nan, -math.inf)):
        store = MemoryStore.create(tmp_path / str(number), config_from(LONG))
        rng = random.Random(2)
        for _ in range(8):
            store.add(vectors(rng, "normal", 2, 4, 3))
            ids = store.remind().ids
            delta = np.where(ids < 0, padding, 1.25)
            store.adjust(delta)
        assert (ids < 0).any()
        digests.add(store.digest())
        store.close()
    assert len(digests) == 1


def test_peek_changes_nothing(tmp_path: Path) -> None:
    path, rng = tmp_path / "store", random.Random(2)
    with MemoryStore.create(path, config_from(LONG)) as store:
        for _ in range(12):
            store.step(vectors(rng, "normal", 2, 2, 3), "uniform:3")
        store.add(vectors(rng, "normal", 2, 2, 3))
    before, cue = tree(path), vectors(rng, "normal", 2, 3, 3)
    with MemoryStore.open(path) as store:
        digest = store.digest()
        answers = [store.peek(cue).records(), store.peek().records()]
        assert store.digest() == digest
    assert tree(path) == before
    with MemoryStore.open(path, "r+") as store:
        assert [store.peek(cue).records(), store.peek().records()] == answers
        assert store.digest() == digest
        store.commit()
        assert tree(path) == before
        assert store.remind().records() == answers[1]
        assert [row["reminded"] for row in answers[0]] != [row["reminded"] for row in answers[1]]


def test_remind_again_repeats_the_answer(tmp_path: Path) -> None:
    rng, store = random.Random(2), MemoryStore.create(tmp_path / "a", config_from(LONG))
    for _ in range(12):
        store.step(vectors(rng, "normal", 2, 2, 3), "uniform:3")
    store.add(vectors(rng, "normal", 2, 2, 3))
    first = store.remind()
    digest = store.digest()
    again = store.remind()
    store = reopened(store, rng)
    for other in (again, store.remind()):
        for field in ("ids", "indices", "memories", "types", "lifespans", "longterm"):
            assert np.array_equal(getattr(first, field), getattr(other, field)), field
        assert np.array_equal(first.correlation, other.correlation)
        assert first.records() == other.records()
    assert store.digest() == digest
    store.adjust()
    store.commit()
    assert_as_the_spec_reads_it(store.path)
    store.close()


def test_the_order_of_verbs(tmp_path: Path) -> None:
    path, data = tmp_path / "store", torch.ones(2, 1, 3)
    with MemoryStore.create(path, config_from(LONG)) as store:
        early: list[Callable[[], object]] = [
            *(store.remind, store.peek),
            lambda: store.adjust(1.0),
        ]
        for verb in early:
            with pytest.raises(StateError):
                verb()
        store.add(data)
        with pytest.raises(StateError, match="remind first"):
            store.adjust(1.0)
        with pytest.raises(StateError, match="under way"):
            store.step(data)
        store.remind()
        with pytest.raises(StateError, match="adjust first"):
            store.add(data)
        with pytest.raises(StateError, match="under way"):
            store.step(data)
        store.adjust(1.0)
        with pytest.raises(StateError):
            store.adjust(1.0)
        assert (store.timestep, store.phase) == (1, "idle")
    closed: list[Callable[[], object]] = [
        *(store.remind, store.commit, store.rollback),
        lambda: store.add(data),
    ]
    for verb in closed:
        with pytest.raises(StateError):
            verb()
    with MemoryStore.open(path) as reader:
        writes: list[Callable[[], object]] = [
            *(reader.remind, reader.commit, reader.rollback),
            lambda: reader.add(data),
            lambda: reader.step(data),
            lambda: reader.adjust(1.0),
        ]
        for verb in writes:
            with pytest.raises(StateError, match="reading"):
                verb()


NAN, INF = math.nan, math.inf
BAD_DATA: dict[str, Any] = {
    "NaN": torch.tensor([[[1.0, NAN, 1.0]]] * 2),
    "Inf": torch.tensor([[[1.0, INF, 1.0]]] * 2),
    "beyond float32": np.full((2, 1, 3), 1e300),
    "dimension": torch.ones(2, 1, 4),
    "lanes": torch.ones(3, 1, 3),
    "one lane": torch.ones(1, 3),
    "nothing": torch.ones(2, 0, 3),
    "axes": torch.ones(2, 1, 1, 3),
    "integers": torch.ones(2, 1, 3, dtype=torch.int64),
    "numpy integers": np.ones((2, 1, 3), np.int32),
    "numpy objects": np.array([[[None, 1.0, 2.0]]] * 2, object),
    "a list": [[[1.0, 1.0, 1.0]]] * 2,
    "None": None,
    "a text": "words",
}
BAD_BESIDE: dict[str, dict[str, Any]] = {
    "texts for one lane": {"texts": [["a"]]},
    "too many texts": {"texts": [["a", "b"], ["c", "d"]]},
    "texts of two widths": {"texts": [["a"], []]},
    "texts not by lane": {"texts": ["ab", None]},
    "texts that are none by lane": {"texts": [None, None]},
    "texts that are a number": {"texts": 7},
    "a text that is a number": {"texts": [["a"], [7]]},
    "a lone surrogate": {"texts": [["a"], ["\ud800"]]},
    "places for one lane": {"places": [[("a", 1)]]},
    "a place without offset": {"places": [[("a", 1)], [("b",)]]},
    "an offset that is a word": {"places": [[("a", 1)], [("b", "two")]]},
    "an offset beyond 64 bits": {"places": [[("a", 1)], [("b", 2**64)]]},
    "a source that is a number": {"places": [[("a", 1)], [(3, 1)]]},
    "a source with a lone surrogate": {"places": [[("a", 1)], [("\ud800", 1)]]},
}


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[tuple[MemoryStore, Tree]]:
    """A store between two steps, with what is in its files."""
    path, rng = tmp_path / "store", random.Random(2)
    with MemoryStore.create(path, config_from(LONG)) as store:
        for _ in range(8):
            store.step(vectors(rng, "normal", 2, 2, 3), "uniform:3")
    with MemoryStore.open(path, "r+") as store:
        yield store, tree(path)


def assert_refused(
    store: MemoryStore, before: Tree, call: Callable[[], object], error: type[MemoriaError]
) -> None:
    digest, phase = store.digest(), store.phase
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert (store.digest(), store.phase) == (digest, phase)
    store.commit()
    assert tree(store.path) == before


@pytest.mark.parametrize("kind", BAD_DATA)
def test_bad_data_is_refused(kind: str, waiting: tuple[MemoryStore, Tree]) -> None:
    store, before = waiting
    for call in (store.add, store.peek, store.step):
        if call != store.peek or kind != "None":  # peek(None) asks with the working memory
            assert_refused(store, before, lambda call=call: call(BAD_DATA[kind]), InputError)  # type: ignore[misc]


@pytest.mark.parametrize("kind", BAD_BESIDE)
def test_bad_texts_and_places_are_refused(kind: str, waiting: tuple[MemoryStore, Tree]) -> None:
    store, before = waiting
    data = torch.ones(2, 1, 3)
    assert_refused(store, before, lambda: store.add(data, **BAD_BESIDE[kind]), InputError)
    assert_refused(store, before, lambda: store.step(data, **BAD_BESIDE[kind]), InputError)


def test_bad_deltas_are_refused(waiting: tuple[MemoryStore, Tree]) -> None:
    store, _ = waiting
    store.add(torch.ones(2, 1, 3))
    width = store.remind().ids.shape[1]
    store.commit()
    before = tree(store.path)
    bad: list[Any] = [
        NAN,
        INF,
        np.full((2, width), NAN),
        np.ones((2, width + 1)),
        np.ones((2, 1)),
        np.ones(width),
        [[1.0] * width],
        [[1.0] * width, [1.0]],
        [["one"] * width] * 2,
        np.ones((2, width), np.complex64),
        [[object()] * width] * 2,
    ]
    for delta in bad:
        assert_refused(store, before, lambda delta=delta: store.adjust(delta), InputError)  # type: ignore[misc]
    for rule in ("", "uniform", "uniform:x", "uniform:nan", "other:3"):
        assert_refused(store, before, lambda rule=rule: store.adjust(rule), ConfigError)  # type: ignore[misc]
    store.adjust(np.ones((2, width)))


def test_a_bad_rule_stops_a_step_before_it_begins(waiting: tuple[MemoryStore, Tree]) -> None:
    store, before = waiting
    data = torch.ones(2, 1, 3)
    assert_refused(store, before, lambda: store.step(data, "other:3"), ConfigError)


# -- texts ---------------------------------------------------------------------------------------

WORDS = [
    "plain",
    "",
    None,
    "καλημέρα κόσμε",
    "日本語",
    "e\u0301 🧠\u200d",
    "a\nb\tc",
    " ",
    "x" * 5000,
]


def test_texts_and_places_are_kept(tmp_path: Path) -> None:
    """Texts that begin late, in any script, with gaps; and where each came from."""
    path, rng = tmp_path / "store", random.Random(7)
    texts: dict[int, str | None] = {}
    places: dict[int, tuple[str, int] | None] = {}
    store = MemoryStore.create(path, config_from({**LONG, "initial_lifespan": 30}))
    for step in range(14):
        width = 1 + step % 3
        data = vectors(rng, "normal", 2, width, 3)
        said: Any = [[rng.choice(WORDS) for _ in range(width)] for _ in range(2)]
        where: Any = [
            [rng.choice([("a.txt", step), ("ü/日.md", 2**40 + step), None]) for _ in range(width)]
            for _ in range(2)
        ]
        said = None if step in (0, 1, 6, 7, 13) else said
        where = None if step in (0, 3, 7, 13) else where
        ids = store.add(data, said, where)
        for lane in range(2):
            for place, i in enumerate(ids[lane].tolist()):
                texts[i] = (said[lane][place] or None) if said else None
                places[i] = where[lane][place] if where else None
        reminded = store.remind()
        store.adjust("uniform:2")
        expected = [[texts.get(i) for i in row] for row in reminded.ids.tolist()]
        assert [list(row) for row in reminded.texts] == expected
        store = reopened(store, rng)
    for source in ("a.txt", "ü/日.md"):
        last = max(place[1] for place in places.values() if place and place[0] == source)
        assert store.last_offset(source) == last
    assert store.last_offset("b.txt") is None
    store.close()
    reader = SpecReader(path)
    assert {i: reader.text(i) for i in texts} == texts
    assert {i: reader.place(i) for i in places} == places
    assert_as_the_spec_reads_it(path)


def test_texts_of_one_lane_may_be_flat(tmp_path: Path) -> None:
    digests = set()
    forms: list[tuple[Any, Any, Any]] = [
        (torch.ones(2, 3), ["a", None], [("s", 1), ("s", 2)]),
        (torch.ones(1, 2, 3), [["a", None]], [[("s", 1), ("s", 2)]]),
        (np.ones((2, 3)), [["a", None]], [("s", 1), ("s", 2)]),
    ]
    for number, (data, texts, places) in enumerate(forms):
        store = MemoryStore.create(tmp_path / str(number), config_from({**LONG, "lanes": 1}))
        store.step(data, texts=texts, places=places)
        assert store.last_offset("s") == 2
        assert store.peek(data).texts[0].count("a") == 1
        digests.add(store.digest())
        store.close()
    assert len(digests) == 1


# -- digests -------------------------------------------------------------------------------------


def one_life(path: Path, **change: Any) -> str:
    """The digest of a short life, in which one thing may be different."""
    setting = config_from(LONG, **({"rule": change["rule"]} if "rule" in change else {}))
    if "seed" in change:
        setting = setting.replace(seed=change["seed"])
    rng, store = random.Random(1), MemoryStore.create(path, setting)
    for step in range(3):
        data = vectors(rng, "grid", 2, 2, 3)
        data[0, 0, 0] += change.get("nudge", 0.0)
        store.add(
            data,
            [[change.get("text", "a"), "b"], ["c", None]],
            [[(change.get("source", "s"), change.get("offset", 0)), None]] * 2,
        )
        store.remind()
        store.adjust(change.get("delta", 2.0))
        if step == 1 and change.get("commit"):
            store.commit()
    if change.get("begun"):
        store.add(data)
    if change.get("begun") == "reminded":
        store.remind()
    store.commit()
    digest = store.digest()
    store.close()
    with MemoryStore.open(path) as reader:
        assert reader.digest() == digest
    assert_as_the_spec_reads_it(path)
    return digest


def test_digests_differ_when_anything_differs(tmp_path: Path) -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"nudge": 2.0**-20},
        {"text": "A"},
        {"text": None},
        {"source": "S"},
        {"offset": 1},
        {"delta": 2.125},
        {"seed": 12},
        {"rule": "uniform:1"},
        {"begun": "working"},
        {"begun": "reminded"},
    ]
    digests = {str(c): one_life(tmp_path / str(n), **c) for n, c in enumerate(changes)}
    same = [a for a in digests for b in digests if a < b and digests[a] == digests[b]]
    assert same == []
    assert one_life(tmp_path / "again", commit=True) == digests["{}"]


def test_digests_do_not_depend_on_how_steps_were_committed(tmp_path: Path) -> None:
    digests = []
    for often in (0, 1, 2, 5):
        rng, path = random.Random(21), tmp_path / str(often)
        store = MemoryStore.create(path, config_from(LONG))
        for step in range(10):
            store.step(vectors(rng, "normal", 2, 2, 3), "uniform:2", [["t", None]] * 2)
            if often and step % often == 0:
                store.commit()
                store.close()
                store = MemoryStore.open(path, "r+")
        with store:
            digests.append(store.digest())
        with MemoryStore.open(path) as reader:
            digests.append(reader.digest())
    assert len(set(digests)) == 1


# -- commits -------------------------------------------------------------------------------------


def test_rollback_goes_back_to_the_commit(tmp_path: Path) -> None:
    path, data = tmp_path / "store", torch.rand(2, 2, 3, generator=torch.Generator().manual_seed(1))
    store = MemoryStore.create(path, config_from(LONG))
    store.step(data, "uniform:2", [["a", "b"]] * 2, [[("s", 1), None]] * 2)
    store.commit()
    before, digest = tree(path), store.digest()
    for reach in range(4):
        if reach < 3:
            store.add(data * 2, [["c", "d"]] * 2, [[("other", 5), None]] * 2)
        if reach > 0 and reach < 3:
            store.remind()
        if reach == 2:
            store.adjust(1.0)
        store.rollback()
        assert (store.digest(), store.timestep, store.phase) == (digest, 1, "idle")
        assert store.last_offset("other") is None
        store.commit()
        assert tree(path) == before
    store.step(data * 2, 1.0)
    after = store.digest()
    store.close()
    with MemoryStore.open(path, "r+") as again:
        again.step(data * 2, 1.0)
        assert again.digest() == after


def test_an_error_in_the_block_leaves_the_committed_state(tmp_path: Path) -> None:
    path, data = tmp_path / "store", torch.ones(2, 2, 3)
    with MemoryStore.create(path, config_from(LONG)) as store:
        store.step(data)
        digest = store.digest()

    def fail() -> None:
        with MemoryStore.open(path, "r+") as store:
            store.step(data * 2)
            store.add(data)
            raise ZeroDivisionError

    before = tree(path)
    with pytest.raises(ZeroDivisionError):
        fail()
    assert tree(path) == before
    store = MemoryStore.open(path, "r+")
    store.step(data * 2)
    store.close()  # without a commit
    assert tree(path) == before
    with MemoryStore.open(path) as store:
        assert (store.digest(), store.timestep) == (digest, 1)


def test_a_reader_keeps_its_state_while_the_writer_goes_on(tmp_path: Path) -> None:
    path, rng = tmp_path / "store", random.Random(14)
    cue = vectors(rng, "normal", 2, 1, 3)
    with MemoryStore.create(path, config_from(LONG)) as store:
        for _ in range(10):
            store.step(vectors(rng, "normal", 2, 2, 3), "uniform:3")
        expected = store.peek(cue).records()
        digest = store.digest()
    early, late = MemoryStore.open(path), MemoryStore.open(path)
    assert early.peek(cue).records() == expected
    for _ in range(3):  # each leaves a new state behind
        with MemoryStore.open(path, "r+") as store:
            for _ in range(4):
                store.step(vectors(rng, "normal", 2, 2, 3), "uniform:3")
    for reader in (early, late):  # the late one reads its files only now
        assert (reader.timestep, reader.digest()) == (10, digest)
        assert reader.peek(cue).records() == expected
        reader.close()
    with MemoryStore.open(path) as reader:
        assert (reader.timestep, reader.digest()) == (22, store.digest())
        assert reader.peek(cue).records() != expected


def test_a_step_of_texts_and_then_none(tmp_path: Path) -> None:
    """Engrams without a text behind such with one, within one step."""
    config = MemoriaConfig(hidden_dim=2, backbone="array")
    with MemoryStore.create(tmp_path / "store", config) as store:
        store.add(torch.zeros(1, 1, 2), [["a"]], [[("s", 0)]])
        store.add(torch.ones(1, 2, 2))
        store.remind()
        store.adjust(1.0)
    assert_as_the_spec_reads_it(tmp_path / "store")


# -- hostile stores ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a state written out, a log after it, texts, and a step that is begun."""
    path, rng = tmp_path_factory.mktemp("victim") / "store", random.Random(2)
    with MemoryStore.create(path, config_from(LONG)) as store:
        for step in range(8):
            where = [("s", step), None]
            store.step(vectors(rng, "normal", 2, 2, 3), "uniform:3", [["a", "é"]] * 2, [where] * 2)
    store = MemoryStore.open(path, "r+")
    store.step(vectors(rng, "normal", 2, 2, 3), "uniform:3")
    store.add(vectors(rng, "normal", 2, 2, 3))
    store.remind()
    store.commit()
    store.close()
    return path


def use(path: Path) -> None:
    """Everything that reads."""
    life_of(path)
    with MemoryStore.open(path) as store:
        store.digest()
        store.last_offset("s")
        store.peek().records()
        store.peek(torch.ones(2, 1, 3))


def forged(attributes: dict[str, Any], at: list[str | int], value: Any) -> dict[str, Any]:
    """``attributes`` with another value, or none (`...`), in one place."""
    made: dict[str, Any] = json.loads(json.dumps(attributes))
    inner: Any = made
    for key in at[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[at[-1]]
    else:
        inner[at[-1]] = value
    return made


FORGED_ATTRIBUTES: list[tuple[list[str | int], list[Any]]] = [
    (["config"], [..., None, [], {"lanes": 2}]),
    (["config", "lanes"], [1, 3, "2", 10**9]),
    (["config", "hidden_dim"], [4, 2**40]),
    (["config", "surprise"], [1]),
    (["config", "initial_lifespan"], ["6", -1, 1e300]),
    (["pending"], [..., None, [], "idle"]),
    (["pending", "phase"], [..., None, 1, "idle", "working", "dreaming"]),
    (["pending", "reminded"], [..., None, [], [[0]], [[0], [1], [2]], "ab", [[0.5], [1]]]),
    (["pending", "reminded", 0, 0], [-1, 1, 10**6, 2**70, None, "0", 0.5]),
    (["pending", "scores"], [None, [[], []], [["x"], ["y"]]]),
    (["pending", "longterm"], [..., [1], ["a", "b"], [2**70, 0], [-1, 0], [99, 0]]),
    (["pending", "partial"], [..., None, [True]]),
    (["state"], [..., None, []]),
    (["state", "generation"], [..., 0, 2, -1, "1", "../1", 1.5, 2**70]),
    (["state", "log_end"], [..., -1, 10**6, None, "0", 2**70]),
    (["state", "rows"], [..., -1, 10**6, None, 1.5, 2**70]),
]


def test_forged_attributes_are_refused(victim: Path) -> None:
    """A checksum is easily made anew: whatever it covers may be anything."""
    use(victim)
    root = read_root(LocalSource(victim))
    attributes, honest = json.loads(root.attributes), (victim / "zarr.json").read_bytes()
    try:
        for at, values in FORGED_ATTRIBUTES:
            for value in values:
                text = encode_attributes(forged(attributes, at, value))
                (victim / "zarr.json").write_bytes(Root(text, root.arrays).encode())
                with pytest.raises(DamageError) as caught:
                    use(victim)
                assert "\n" not in str(caught.value), (at, value)
    finally:
        (victim / "zarr.json").write_bytes(honest)
    use(victim)


# Array, cell, values that must be noticed. Others change the memory, which the digest tells.
FORGED_CELLS: list[tuple[str, tuple[Any, ...], list[int]]] = [
    ("log/steps", (3, 1), [-1, 0, 10**6, 2**62, -(2**63)]),
    ("log/steps", (3, 2), [-1, 0, 10**6, 2**62, -(2**63)]),
    ("log/steps", (8, 1), [10**6, -1, 0]),
    ("log/steps", (8, 2), [10**6, -1, 0]),
    ("log/steps", (8, 7), [10**6, 2**62, -(2**63)]),
    ("log/ids", (-1,), [-1, 10**6, 2**62, -(2**63)]),
    ("state/1/ids", (0,), [-1, 10**6, 2**62, -(2**63)]),
    ("texts/index", (30, 0), [-1, 10**6, 2**62, -(2**63)]),
    ("texts/bytes", (slice(None),), [255]),
    ("sources/index", (0, 0), [-1, 10**6, -(2**63)]),
]


def test_forged_arrays_are_refused(victim: Path) -> None:
    """Chunks with sound checksums and contents that count or name what is not there."""
    files = open_files(victim)
    for name, cell, values in FORGED_CELLS:
        spec, rows = files.store.spec(name), files.read(name)
        file = victim / name / spec.file_name(0)
        honest = file.read_bytes()
        assert len(rows) <= spec.file_rows
        for value in values:
            whole = np.full((spec.file_rows, *spec.row_shape), spec.fill, spec.np_dtype)
            whole[: len(rows)] = rows
            whole[: len(rows)][cell] = value
            file.write_bytes(b"".join(bytes(part) for part in encode_file(spec, whole, len(rows))))
            with pytest.raises(DamageError) as caught:
                use(victim)
            assert "\n" not in str(caught.value), (name, cell, value)
        file.write_bytes(honest)
    files.close()
    use(victim)


@pytest.mark.parametrize("rule", [float("nan"), float("inf"), 1e300, "uniform", "nonsense:1"])
def test_a_step_with_an_impossible_rule_begins_nothing(tmp_path: Path, rule: Any) -> None:
    with MemoryStore.create(tmp_path / "s", MemoriaConfig(hidden_dim=2, backbone="array")) as store:
        with pytest.raises((InputError, ConfigError)):
            store.step(torch.zeros(1, 1, 2), rule)
        assert store.phase == "idle"


def test_attributes_of_later_versions_are_kept(tmp_path: Path) -> None:
    path, config = tmp_path / "s", MemoriaConfig(hidden_dim=2, backbone="array")
    with MemoryStore.create(path, config):
        pass
    root = read_root(LocalSource(path))
    text = encode_attributes({**json.loads(root.attributes), "names": {"first": 0}})
    (path / "zarr.json").write_bytes(Root(text, root.arrays).encode())
    with MemoryStore.open(path, "r+") as store:
        store.step(torch.zeros(1, 1, 2))
    assert json.loads(read_root(LocalSource(path)).attributes)["names"] == {"first": 0}
