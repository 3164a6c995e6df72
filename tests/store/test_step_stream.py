"""`MemoryStore.step_stream`: a stream of working memories, durable whatever ends it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memoria.backbones.streams import InputStream
from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, ShapeError
from memoria.store import MemoryStore

CONFIG = MemoriaConfig(hidden_dim=8, wm_length=2, backbone="array")


def arrays(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    return list(rng.normal(size=(count, 2, 8)).astype(np.float32))


def test_a_stream_is_step_after_step(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "a", CONFIG) as one:
        for data in arrays(12):
            one.step(data, "uniform:3")
        expected = one.digest()
    with MemoryStore.create(tmp_path / "b", CONFIG) as other:
        assert other.step_stream(arrays(12), "uniform:3") == 12
        assert other.digest() == expected


def test_an_input_stream_keeps_texts_and_places(tmp_path: Path) -> None:
    config = MemoriaConfig(hidden_dim=16, wm_length=2, backbone="hash", unit="line")
    notes = tmp_path / "notes.txt"
    notes.write_text("one\ntwo\nthree\nfour\n")
    with MemoryStore.create(tmp_path / "a", config) as store:
        assert store.step_stream(InputStream(config, [notes])) == 2
        assert store.last_offset(str(notes)) == 14
        cue = InputStream(config, (), texts=["three"]).single(as_cue=True).data
        assert "three" in store.peek(cue).texts[0]


def test_progress_counts_finished_steps(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with MemoryStore.create(tmp_path / "a", CONFIG) as store:
        store.step_stream(arrays(3), progress=lambda done, total: seen.append((done, total)))
        store.step_stream(iter(arrays(1)), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3), (1, 0)]


def test_progress_true_shows_a_bar(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with MemoryStore.create(tmp_path / "a", CONFIG) as store:
        store.step_stream(arrays(3), progress=True)
    assert "3/3" in capsys.readouterr().err


def test_the_end_is_durable_and_so_is_each_step_with_zero_seconds(tmp_path: Path) -> None:
    def durable() -> Iterator[np.ndarray]:
        for number, data in enumerate(arrays(4)):
            with MemoryStore.open(tmp_path / "a") as reader:
                assert reader.timestep == number
            yield data

    with MemoryStore.create(tmp_path / "a", CONFIG) as store:
        store.step_stream(durable(), commit_every=0)
        store.step_stream(arrays(2), commit_every=1e9)
        with MemoryStore.open(tmp_path / "a") as reader:
            assert reader.timestep == 6


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_what_ends_the_stream_keeps_finished_steps(tmp_path: Path, kind: type) -> None:
    def ending() -> Iterator[np.ndarray]:
        yield from arrays(3)
        raise kind

    store = MemoryStore.create(tmp_path / "a", CONFIG)
    with pytest.raises(kind):
        store.step_stream(ending(), commit_every=1e9)
    store.step_stream(arrays(1))  # it can be used on
    store.close()
    with MemoryStore.open(tmp_path / "a") as reader:
        assert reader.timestep == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_within_a_step_lets_it_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = signal.signal(number, signal.default_int_handler)
    adjust = MemoryStore.adjust

    def interrupted(store: MemoryStore, delta: object) -> None:
        if store.timestep == 2:
            os.kill(os.getpid(), number)
        adjust(store, delta)

    monkeypatch.setattr(MemoryStore, "adjust", interrupted)
    try:
        with MemoryStore.create(tmp_path / "a", CONFIG) as store:
            with pytest.raises(KeyboardInterrupt):
                store.step_stream(arrays(5), commit_every=1e9)
            assert store.timestep == 3
            assert store.phase == "idle"
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, before)
    with MemoryStore.open(tmp_path / "a") as reader:
        assert reader.timestep == 3


def test_a_step_that_fails_leaves_what_was_committed(tmp_path: Path) -> None:
    with MemoryStore.create(tmp_path / "a", CONFIG) as store:
        with pytest.raises(ShapeError):
            store.step_stream([*arrays(2), np.zeros((2, 3), np.float32)], commit_every=0)
        assert (store.timestep, store.phase) == (2, "idle")
        with pytest.raises(ConfigError):
            store.step_stream(arrays(2), "no such rule")
        assert store.timestep == 2
