"""A store that stays open while others read and write: `SharedStore`, threads and processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cli_tools import environment

from memoria.config import MemoriaConfig
from memoria.errors import InputError, StateError, StoreLockedError, StoreNotFoundError
from memoria.store import MemoryStore
from memoria.store.compacting import erase
from memoria.store.reading import open_files
from memoria.store.remembering import remember
from memoria.store.sharing import SharedStore
from memoria.store.verify import verify

CONFIG = MemoriaConfig(hidden_dim=32, backbone="hash")


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A store of two engrams."""
    with MemoryStore.create(tmp_path / "notes", CONFIG) as store:
        remember(store, "The bees live in the old oak. Anna feeds them in winter.", source="talk")
    return tmp_path / "notes"


@pytest.fixture
def shared(notes: Path) -> Iterator[SharedStore]:
    with SharedStore(notes, patience=0.2) as made:
        yield made


def tell(path: Path, text: str) -> None:
    """Another process's step."""
    subprocess.run(
        [sys.executable, "-m", "memoria_cli", "step", str(path), "--text", text],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=60,
    )


def test_a_text_is_one_committed_step_with_its_places(notes: Path) -> None:
    with MemoryStore.open(notes) as store:
        assert store.timestep == 1
        found = store.ask("where do the bees live?", top=1)[0]
        assert (found.id, found.source, found.offset) == (0, "talk", 0)
    with MemoryStore.open(notes, "r+") as store:
        ids = remember(store, "Bo barks. Bo sleeps.", time=10**12, meta={"who": "Bo"})
        assert ids.tolist() == [2, 3]
        assert [one.meta for one in store.ask("Bo barks", top=1)] == [{"who": "Bo"}]
        with pytest.raises(InputError, match="empty"):
            remember(store, " \n")
        with pytest.raises(InputError, match="257"):
            remember(store, "A word.\n" * 257, unit="line")
    assert verify(notes).findings == ()


def test_a_text_is_of_one_lane(tmp_path: Path) -> None:
    with (
        MemoryStore.create(tmp_path / "two", CONFIG.replace(lanes=2)) as store,
        pytest.raises(StateError, match="2 lanes"),
    ):
        remember(store, "A word.")


def test_reads_are_of_what_is_committed_now(notes: Path, shared: SharedStore) -> None:
    with shared.reading() as store:
        first = store
        assert store.ask("Who bakes bread?").seems_answered is False
    with shared.reading() as store:
        assert store is first  # nothing has changed
    tell(notes, "Clara bakes bread on Sundays.")
    with shared.reading() as store:
        assert store.ask("Who bakes bread?")[0].text == "Clara bakes bread on Sundays."


def test_what_is_loaded_for_asking_outlives_commits(notes: Path, shared: SharedStore) -> None:
    with shared.reading() as store:
        store.ask("bees")
        backbone = store.backbone
    with shared.writing("remember") as writer:
        assert writer.backbone is backbone
        remember(writer, "Wasps live below the roof.")
    with shared.reading() as store:
        assert store.backbone is backbone
        warm = store.ask("wasps below the roof", top=3).document()
    with MemoryStore.open(notes) as cold:
        assert cold.ask("wasps below the roof", top=3).document() == warm


def test_other_settings_are_taken_over(notes: Path, shared: SharedStore) -> None:
    with shared.reading() as store:
        before = store.ask("bees oak")[0].score
    with MemoryStore.open(notes, "r+") as store:
        store.change_settings({"ask": {"trigram": 0.0, "lexical": 0.0}})
    with shared.reading() as store, MemoryStore.open(notes) as cold:
        assert store.ask("bees oak")[0].score == cold.ask("bees oak")[0].score != before


def test_the_writers_lock_is_free_between_writes(notes: Path, shared: SharedStore) -> None:
    with shared.writing("pin") as store:
        store.pin([0])
        kept = store
        with pytest.raises(StoreLockedError):
            MemoryStore.open(notes, "r+")
    open_files(notes, mode="r+").close()  # without a commit
    with shared.writing("pin") as store:
        assert store is kept  # with all that it has loaded
        store.pin([1])
    tell(notes, "Clara bakes bread.")
    with shared.writing("remember") as store:
        assert store is not kept
        assert remember(store, "And cakes.").tolist() == [3]
    assert verify(notes).findings == ()


def test_many_writes_leave_the_files_that_one_opening_leaves(
    notes: Path, tmp_path: Path, shared: SharedStore
) -> None:
    texts = [f"Fact number {number} is new." for number in range(12)]
    for text in texts:
        with shared.writing("remember") as store:
            remember(store, text)
    shared.close()
    assert not [*notes.rglob("*.tmp")]
    with MemoryStore.create(tmp_path / "alone", CONFIG) as alone:
        remember(alone, "The bees live in the old oak. Anna feeds them in winter.", source="talk")
        for text in texts:
            remember(alone, text)
    with MemoryStore.open(notes) as ours, MemoryStore.open(tmp_path / "alone") as theirs:
        assert ours.digest() == theirs.digest()
    assert verify(notes).findings == ()


def test_a_write_that_fails_leaves_the_store_as_it_was(notes: Path, shared: SharedStore) -> None:
    with shared.reading() as store:
        digest = store.digest()

    def fail() -> None:
        with shared.writing("forget") as store:
            store.pin([0])
            store.forget([99])

    with pytest.raises(InputError):
        fail()
    with shared.reading() as store:
        assert store.digest() == digest
    with shared.writing("forget") as store:
        store.forget([0])
    with MemoryStore.open(notes) as store:
        assert store.ask("bees oak")[0].id == 1


def test_undo_takes_back_the_last_write(notes: Path, shared: SharedStore) -> None:
    for text in ("One more.", "And another."):
        with shared.writing("remember") as store:
            remember(store, text)
    with shared.writing("undo") as store:
        assert store.undo()["commands"] == ["remember"]
    with shared.reading() as store:
        assert store.timestep == 2
        assert "And another." not in store.ask("another").texts
    with shared.writing("remember") as store:
        remember(store, "And a third.")
    assert verify(notes).findings == ()


def test_a_write_waits_for_others_and_then_gives_up(notes: Path) -> None:
    with SharedStore(notes, patience=0.1) as shared:
        holder = MemoryStore.open(notes, "r+")
        with (
            pytest.raises(StoreLockedError, match=str(os.getpid())),
            shared.writing("pin") as store,
        ):
            store.pin([0])
        holder.close()
    with SharedStore(notes, patience=30.0) as shared:
        holder = MemoryStore.open(notes, "r+")
        timer = threading.Timer(0.1, holder.close)
        timer.start()
        with shared.writing("pin") as store:
            assert store.pin([0]).tolist() == [0]
        timer.join()


def test_threads_ask_while_one_writes(notes: Path, shared: SharedStore) -> None:
    """Every answer is of a state between two steps: pairs are remembered whole or not at all."""
    wrong: list[object] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                with shared.reading() as store:
                    found = store.ask("pair", top=100)
                    pairs = [text for text in found.texts if text and text.startswith("Pair")]
                    if len(pairs) != 2 * (store.timestep - 1) or found.step != store.timestep:
                        wrong.append((store.timestep, pairs))
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(10):
        with shared.writing("remember") as store:
            remember(store, f"Pair {number} is left. Pair {number} is right.")
    done.set()
    for thread in threads:
        thread.join(30)
    assert wrong == []
    assert verify(notes).findings == ()


def test_whoever_idles_lets_go_of_the_files_of_before(notes: Path) -> None:
    def held() -> bool:
        return any(b"Anna" in one.read_bytes() for one in notes.rglob("*") if one.is_file())

    with SharedStore(notes) as shared:
        with shared.writing("pin") as store:
            store.pin([0])
        with shared.reading() as store:
            assert store.ask("bees")
        assert not shared.refresh()
        with MemoryStore.open(notes, "r+") as store:
            store.forget([1])
        assert erase(notes, [1]).waiting
        with MemoryStore.open(notes, "r+"):
            assert held()
            assert shared.refresh()
        with MemoryStore.open(notes):
            assert not shared.refresh()
            assert held()
        assert not shared.refresh()
        assert not held()
        with shared.reading() as store:
            assert [*store.ask("bees").ids] == [0]
        with shared.writing("unpin") as store:
            assert store.unpin([0]).tolist() == [0]


def test_a_store_that_is_closed_or_gone_says_so(notes: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreNotFoundError):
        SharedStore(tmp_path / "nowhere")
    shared = SharedStore(notes)
    shared.close()
    shared.close()
    with pytest.raises(StateError, match="closed"), shared.reading():
        pass
    with pytest.raises(StateError, match="closed"), shared.writing("pin"):
        pass
    with SharedStore(notes) as shared:
        notes.rename(tmp_path / "elsewhere")
        with pytest.raises(StoreNotFoundError), shared.reading():
            pass
        (tmp_path / "elsewhere").rename(notes)
        with shared.reading() as store:
            assert np.array_equal(store.ask("bees").ids, [0, 1])
