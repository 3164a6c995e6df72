"""Edits, recalls, vector types and what stands beside engrams: now, in the past, in replay."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spec_reader import SpecReader

from memoria.config import MemoriaConfig, VectorType
from memoria.errors import InputError, StateError
from memoria.store import MemoryStore, load_memory, save_memory
from memoria.store.compacting import compact, go_back, undo
from memoria.store.life import StepTable, fold
from memoria.store.reading import open_files
from memoria.store.replay.recompute import recompute
from memoria.store.replay.rerun import rerun
from memoria.store.texts import StoredTexts
from memoria.store.verify import verify

DIMENSION = 8
each_type = pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])


def rows(seed: int, count: int = 2) -> Any:
    return np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)


def lived(path: Path, dtype: VectorType = "float32") -> Path:
    """Ten steps with texts, times and meta; engrams pinned, recalled and edited between them."""
    config = MemoriaConfig(
        hidden_dim=DIMENSION,
        backbone="array",
        vector_dtype=dtype,
        initial_lifespan=20.0,
        stm_capacity=4,
        num_reminded_stm=2,
        num_final_ltms=2,
        rule="uniform:1",
    )
    with MemoryStore.create(path, config) as store:
        for step in range(10):
            beside: dict[str, Any] = {
                "texts": [f"text {step}é", None],
                "places": [("a.txt", step), None],
                "times": [1000 + step, None],
                "meta": [None, {"step": step, "ä": [1.5, None]}],
            }
            store.step(rows(step), **(beside if step % 3 else {}))
            if step == 3:
                store.pin([6])
                store.recall([5, 6], 2.5)
            if step == 4:
                store.snapshot("before")
                store.edit(4, "edited", rows(99, 1)[0], {"by": "hand"})
                store.edit(6, text="edited too")
                store.snapshot("after")
                store.commit()
        store.edit(4, meta={"again": True})
    return path


@each_type
def test_what_is_done_reads_as_the_specification_says(tmp_path: Path, dtype: VectorType) -> None:
    path = lived(tmp_path / "s", dtype)
    reader = SpecReader(path)
    with MemoryStore.open(path) as store:
        assert store.digest() == reader.digest()
        everybody = np.arange(store.files.created)
        stored_texts = StoredTexts(store.files)
        assert stored_texts.texts(everybody) == [reader.text(i) for i in everybody.tolist()]
        assert stored_texts.meta(everybody) == [reader.meta(i) for i in everybody.tolist()]
        assert stored_texts.times(everybody) == [reader.time(i) for i in everybody.tolist()]
        assert stored_texts.places(everybody) == [reader.place(i) for i in everybody.tolist()]
        expected = np.stack([reader.vector(i) for i in everybody.tolist()])
        assert np.array_equal(store.files.vectors(everybody), expected)
        found = fold(store.files, store.config, StepTable.read(store.files))
    state = reader.state()
    assert dict(zip(found.ids.tolist(), found.expiry.tolist(), strict=True)) == {
        i: one.expiry for i, one in state.engrams.items()
    }
    assert verify(path).findings == ()


@each_type
def test_it_replays_bit_for_bit(tmp_path: Path, dtype: VectorType) -> None:
    path = lived(tmp_path / "s", dtype)
    assert recompute(path).differences == []
    again = rerun(path, tmp_path / "t", {})
    with MemoryStore.open(path) as store:
        assert again.digest == store.digest()


@each_type
def test_a_store_opened_again_works_with_the_same_vectors(
    tmp_path: Path, dtype: VectorType
) -> None:
    path = lived(tmp_path / "s", dtype)
    with MemoryStore.open(path, "r+") as store:
        store.edit(4, vector=rows(7, 1)[0])
        before = store.peek(rows(7, 1))
        store.commit()
        with MemoryStore.open(path) as other:
            after = other.peek(rows(7, 1))
    assert before.ids.tolist() == after.ids.tolist()
    assert before.memories.tolist() == after.memories.tolist()


def test_the_past_has_what_was_in_force_then(tmp_path: Path) -> None:
    path = lived(tmp_path / "s")
    for at, text, meta in (("before", "text 2é", None), ("after", "edited", {"by": "hand"})):
        files = open_files(path, at)
        stored_texts = StoredTexts(files)
        assert (stored_texts.texts(np.array([4])), stored_texts.meta(np.array([4]))) == (
            [text],
            [meta],
        )
        vector = rows(2)[0] if at == "before" else rows(99, 1)[0]
        assert np.array_equal(files.vectors(np.array([4]))[0], vector)
        files.close()
    with MemoryStore.open(path) as store:
        assert store.files.revisions[4]["meta"] == {"again": True}


def test_compaction_keeps_edits_and_leaves_the_words_of_the_forgotten_behind(
    tmp_path: Path,
) -> None:
    path = lived(tmp_path / "s")
    with MemoryStore.open(path, "r+") as store:
        store.edit(7, text="a secret")
        store.forget([7])
        store.step(rows(20))
        digest = store.digest()
    compact(path, snapshots=())
    assert verify(path).findings == ()
    assert not any(b"a secret" in file.read_bytes() for file in path.rglob("c.*"))
    with MemoryStore.open(path) as store:
        assert store.digest() == digest == SpecReader(path).digest()
        alive = fold(store.files, store.config, StepTable.read(store.files)).ids
        reader = SpecReader(path)
        assert StoredTexts(store.files).texts(alive) == [reader.text(i) for i in alive.tolist()]


def test_what_was_edited_and_forgotten_is_gone_with_the_next_compaction(tmp_path: Path) -> None:
    """Though no step came between, and though a snapshot names the state after it."""
    path = lived(tmp_path / "s")
    with MemoryStore.open(path, "r+") as store:
        store.edit(7, text="a secret")
        store.forget([7])
        store.snapshot("clean")
        store.edit(8, text="another")
        digest = store.digest()
    compact(path)
    compact(path, snapshots=("clean",))
    assert not any(b"a secret" in file.read_bytes() for file in path.rglob("c.*"))
    assert verify(path).findings == ()
    assert SpecReader(path).digest() == digest
    with MemoryStore.open(path, at="clean") as store:
        assert StoredTexts(store.files).texts(np.array([8])) == ["text 4é"]
    with MemoryStore.open(path, "r+") as store:
        assert store.digest() == digest
        store.step(rows(40))
        digest = store.digest()
    assert SpecReader(path).digest() == digest
    assert verify(path).findings == ()
    go_back(path, "clean", drop_later=True)
    assert verify(path).findings == ()


def test_a_memory_in_tensors_has_the_edited_vectors(tmp_path: Path) -> None:
    path = lived(tmp_path / "s", "int8")
    save_memory(load_memory(path), tmp_path / "t")
    assert verify(tmp_path / "t").findings == ()
    with MemoryStore.open(path) as old, MemoryStore.open(tmp_path / "t") as new:
        assert new.config.vector_dtype == "float32"
        ids = fold(new.files, new.config, StepTable.read(new.files)).ids
        assert np.array_equal(old.files.vectors(ids), new.files.vectors(ids))


def test_what_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    with MemoryStore.open(lived(tmp_path / "s"), "r+") as store:
        digest, live = store.digest(), int(np.max(list(store.files.revisions)))
        for wrong in (
            {},
            {"meta": {"x": float("nan")}},
            {"meta": [1]},
            {"meta": {"x": "y" * 2**16}},
        ):
            with pytest.raises(InputError):
                store.edit(live, **wrong)  # type: ignore[arg-type]
        with pytest.raises(InputError):
            store.edit(10**9, text="nobody")
        with pytest.raises(InputError):
            store.recall([live], -1.0)
        with pytest.raises(InputError, match="time"):
            store.add(rows(1, 1), times=[-5])
        assert store.digest() == digest
    config = MemoriaConfig(hidden_dim=DIMENSION, vector_dtype="float16")
    store = MemoryStore.create(tmp_path / "u", config)
    with pytest.raises(InputError, match="float16"):
        store.add(rows(1, 1) * 1e6)
    store.close()


def test_commands_are_recorded_where_they_began(tmp_path: Path) -> None:
    path = lived(tmp_path / "s")
    with MemoryStore.open(path, "r+") as store:
        store.begin_command("step é.txt")
        store.step(rows(30))
        store.commit()
        store.step(rows(31))
    with MemoryStore.open(path, "r+") as store:
        store.begin_command("nothing")
    reader = SpecReader(path)
    ((step, events, _, words),) = reader.commands()
    assert (step, events, words) == (10, 6, "step é.txt")
    assert verify(path).findings == ()


def test_undo_takes_back_one_command_after_another(tmp_path: Path) -> None:
    path = lived(tmp_path / "s")
    digests = []
    for number, words in enumerate(("edit", "step", "forget", "add", "remind")):
        with MemoryStore.open(path, "r+") as store:
            digests.append(store.digest())
            store.begin_command(words)
            if words == "edit":
                store.edit(18, text="other", vector=rows(50, 1)[0])
            elif words == "step":
                store.step(rows(60 + number), texts=["new", None], places=[("b.txt", 1), None])
                store.commit()
                store.step(rows(70 + number))
            elif words == "forget":
                store.forget([20])
            elif words == "add":
                store.add(rows(80))
            else:
                store.remind()
    seen = []
    while True:
        with MemoryStore.open(path, "r+") as store:
            try:
                outcome = store.undo()
            except StateError:
                break
            seen.append((outcome["commands"], outcome["lost_steps"], outcome["lost_events"]))
            assert store.digest() == outcome["digest"] == digests[4 - len(seen)]
        assert verify(path).findings == ()
        assert SpecReader(path).digest() == outcome["digest"]
    assert seen == [
        (["remind", "add"], 0, 0),
        (["forget"], 0, 1),
        (["step"], 2, 0),
        (["edit"], 0, 1),
    ]
    shutil.copytree(lived(tmp_path / "t"), tmp_path / "u")
    for one in (path, tmp_path / "u"):
        with MemoryStore.open(one, "r+") as store:
            store.step(rows(90))
    assert SpecReader(path).digest() == SpecReader(tmp_path / "u").digest()


def test_undo_keeps_what_a_snapshot_names_and_what_compaction_left(tmp_path: Path) -> None:
    path = lived(tmp_path / "s")
    with MemoryStore.open(path, "r+") as store:
        with pytest.raises(StateError, match="no command"):
            store.undo()
        digest = store.digest()
        store.begin_command("step")
        store.step(rows(60))
        store.snapshot("later")
        with pytest.raises(StateError, match="later"):
            store.undo()
        assert store.undo(drop_later=True)["digest"] == store.digest() == digest
        assert "later" not in store.snapshots
        assert {*store.snapshots} == {"before", "after"}
        store.begin_command("step")
        for number in range(25):
            store.step(rows(60 + number))
    compact(path)
    with pytest.raises(InputError, match="step 10: compaction has removed it"):
        undo(path, dry_run=True)


NUL_META: tuple[Any, ...] = ({"a": "x\0"}, {"\0": 1}, {"a": [{"b": "\\\0"}]})


@pytest.mark.parametrize("meta", NUL_META)
def test_meta_with_a_nul_is_refused(tmp_path: Path, meta: Any) -> None:
    with MemoryStore.open(lived(tmp_path / "store"), "r+") as store:
        before = store.digest()
        with pytest.raises(InputError, match="NUL"):
            store.add(rows(1, 1), meta=[meta])
        with pytest.raises(InputError, match="NUL"):
            store.edit(4, meta=meta)
        store.commit()
        assert store.digest() == before


def test_a_backslash_before_u0000_is_no_nul(tmp_path: Path) -> None:
    meta = {"a": r"\u0000", "b": r"\\u0000"}
    with MemoryStore.open(lived(tmp_path / "store"), "r+") as store:
        store.edit(4, meta=meta)
        assert StoredTexts(store.files).meta(np.array([4])) == [meta]


def test_texts_with_a_nul_are_refused(tmp_path: Path) -> None:
    with MemoryStore.open(lived(tmp_path / "store"), "r+") as store:
        for wrong in (
            lambda: store.add(rows(1, 1), texts=["a\0b"]),
            lambda: store.add(rows(1, 1), places=[("a\0b", 1)]),
            lambda: store.edit(4, "a\0b"),
            lambda: store.confirm("a\0b", rows(1, 1)[0], [4], 1.0),
            lambda: store.name_source("a\0b", "/b"),
            lambda: store.name_source("b", "/a\0b"),
        ):
            with pytest.raises(InputError, match="NUL"):
                wrong()
        assert store.phase == "idle"
