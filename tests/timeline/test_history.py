"""What the history tells is what summaries taken at every step would have told."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lives import LAYOUTS

from memoria import HistoryManager, Memoria
from memoria.config import Layout
from memoria.errors import DamageError, InputError, MemoriaError, StorageError
from memoria.timeline.summary import EngramsInfo


def life(layout: Layout, seed: int, steps: int = 30) -> tuple[Memoria, list[list[EngramsInfo]]]:
    """Two lanes with forgetting, all three memories, and steps that remind twice or not at all."""
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    memoria = Memoria(2, 6, 3, 4, 3, keep_history=True, layout=layout, seed=seed)
    seen = []
    for _ in range(steps):
        memoria.add_working_memory(torch.randn(2, rng.randint(1, 3), 4, generator=generator))
        indices = torch.zeros(2, 0, dtype=torch.int64)
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            indices = memoria.remind()[1]
        gains = torch.randint(-8, 24, indices.shape, generator=generator) / 8
        memoria.adjust_lifespan_and_memories(indices, gains)
        seen.append(memoria.engrams.status_summary())
    return memoria, seen


def retold(seen: list[EngramsInfo]) -> dict[str, Any]:
    """The same facts, read off a summary a step."""
    born: dict[int, int] = {}
    died: dict[int, int] = {}
    firings: list[list[tuple[int, float]]] = []
    for time, now in enumerate(seen):
        before = seen[time - 1].engrams if time else {}
        firings.append([])
        for id_, engram in sorted(now.engrams.items()):
            if id_ not in born:
                born[id_] = time
            elif engram.fire_count > before[id_].fire_count:
                gain = engram.lifespan - before[id_].lifespan + 1
                firings[-1].append((id_, gain))
        died |= {id_: time for id_ in before if id_ not in now.engrams}
    return {"born": born, "died": died, "firings": firings}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_tells_what_summaries_tell(layout: Layout, seed: int) -> None:
    memoria, seen = life(layout, seed)
    assert memoria.history is not None
    assert len(memoria.history) == 2
    for lane, history in enumerate(memoria.history):
        mine = [summaries[lane] for summaries in seen]
        assert len(history) == history.timestep == len(mine)
        assert list(history.summaries) == mine
        assert history[-1] == mine[-1]
        facts = retold(mine)
        assert history.engram_creation_times == facts["born"]
        assert history.engram_deletion_times == facts["died"]
        told = [
            [(f.engram_id, f.lifespan_gain) for f in fired] for fired in history.firings_per_time
        ]
        assert told == facts["firings"]
        assert history.engram_ids == list(facts["born"])
        assert history.alive_engram_ids == sorted(mine[-1].engrams)
        assert history.deleted_engram_ids == sorted(facts["died"])
        last = {i: facts["died"].get(i, len(mine)) - 1 for i in facts["born"]}
        assert history.engram_lastest_alive_timestep == last
        assert history.latest_engram_infos == {i: mine[t].engrams[i] for i, t in last.items()}
        times = history.engram_firing_times
        assert history.engram_fire_counts == {i: len(t) for i, t in times.items()}
        for id_ in history.engram_ids[:: len(history.engram_ids) // 5]:
            one = history.inspect(id_)
            assert (one.creation_timestep, one.deletion_timestep) == (
                facts["born"][id_],
                facts["died"].get(id_),
            )
            assert one.duration == history.engram_durations[id_] == len(one.summaries)
            assert one.firing_times == times.get(id_, [])
            assert one.summaries == mine[facts["born"][id_] : facts["born"][id_] + one.duration]


@pytest.mark.parametrize("seed", [1, 2])
def test_summaries_from_outside_tell_the_same(tmp_path: Path, seed: int) -> None:
    """All of them, or from the middle of a life on; also as engrams, and through a file."""
    memoria, seen = life("dense", seed)
    assert memoria.history is not None
    for lane, log in enumerate(memoria.history):
        mine = [summaries[lane] for summaries in seen]
        told = HistoryManager()
        for summary in mine:
            told.add_summary(summary)
        told.save(tmp_path / "told.npz")
        for one in (told, HistoryManager.load(tmp_path / "told.npz")):
            assert list(one) == mine
            for name in QUERIES:
                assert getattr(one, name) == getattr(log, name), name
            assert one.firings_per_time == log.firings_per_time
            id_ = log.engram_ids[3]
            assert one.inspect(id_).firing_times == log.inspect(id_).firing_times
    late = HistoryManager()
    for summaries in seen[10:]:
        late.add_summary(summaries[0])
    assert late.alive_engram_ids == memoria.history[0].alive_engram_ids
    assert set(late.engram_ids) >= set(seen[10][0].engrams)


QUERIES = (
    *("timestep", "engram_ids", "engram_creation_times", "engram_deletion_times"),
    *("engram_durations", "alive_engram_ids", "deleted_engram_ids", "engram_firing_times"),
    *("engram_lastest_alive_timestep", "engram_fire_counts", "latest_engram_infos"),
)


def test_engrams_are_told_too() -> None:
    memoria = Memoria(2, 6, 3, 4, 3, track_age=True, track_id=True)
    history = HistoryManager()
    for value in (1.0, 2.0):
        memoria.add_working_memory(torch.full((1, 2, 3), value))
        history.add_summary(memoria.engrams)  # within a step: in working memory, not fired yet
        indices = memoria.remind()[1]
        memoria.adjust_lifespan_and_memories(indices, torch.ones(indices.shape))
    assert history[1].working == (2, 3)
    assert history.engram_firing_times == {0: [1], 1: [1]}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda one: one.engrams, "a summary is dict"),
        (lambda one: None, "a summary is NoneType"),
        (lambda one: Memoria(1, 2, 3, 4, 3).engrams, "needs engram ids"),
    ],
)
def test_what_is_no_summary(wrong: Callable[[EngramsInfo], Any], words: str) -> None:
    _, seen = life("dense", 1, 3)
    history = HistoryManager()
    history.add_summary(seen[0][0])
    with pytest.raises(MemoriaError, match=words):
        history.add_summary(wrong(seen[1][0]))
    with pytest.raises(InputError, match="2 lanes"):
        history.add_summary(life("dense", 1, 2)[0].engrams)
    assert len(history) == 1


def test_nobody_comes_back() -> None:
    _, seen = life("dense", 3, 20)
    history = HistoryManager()
    history.add_summary(seen[5][0])
    history.add_summary(seen[-1][0])
    gone = min(seen[5][0].engrams.keys() - seen[-1][0].engrams.keys())
    with pytest.raises(InputError, match=f"engram {gone}: not in the summary before"):
        history.add_summary(seen[5][0])
    assert len(history) == 2


def test_frames_say_what_the_queries_say() -> None:
    memoria, seen = life("sparse", 4)
    assert memoria.history is not None
    history = memoria.history[0]
    frames = history.to_pandas()
    engrams, firings, steps = frames["engrams"], frames["firings"], frames["steps"]
    assert dict(zip(engrams["id"], engrams["created"], strict=True)) == (
        history.engram_creation_times
    )
    gone = engrams[engrams["deleted"] >= 0]
    assert dict(zip(gone["id"], gone["deleted"], strict=True)) == history.engram_deletion_times
    fired = [f for step in history.firings_per_time for f in step]
    assert list(firings.itertuples(index=False, name=None)) == [
        (f.timestep, f.engram_id, f.lifespan_gain) for f in fired
    ]
    counts = dict(zip(engrams["id"], engrams["firings"], strict=True))
    assert {i: n for i, n in counts.items() if n} == history.engram_fire_counts
    assert steps["living"].tolist() == [len(one[0].engrams) for one in seen]
    assert steps["fired"].tolist() == [len(step) for step in history.firings_per_time]
    assert steps["deleted"].sum() == len(gone)
    empty = HistoryManager().to_pandas()
    assert [len(frame) for frame in empty.values()] == [0, 0, 0]


def test_it_begins_with_the_first_finished_step_and_ends_with_the_memory() -> None:
    memoria = Memoria(2, 6, 3, 4, 3, keep_history=True)
    assert memoria.track_age
    assert memoria.track_id
    memoria.add_working_memory(torch.zeros(1, 1, 2))
    assert memoria.history is None
    memoria.adjust_lifespan_and_memories(memoria.remind()[1], torch.zeros(1, 0))
    assert memoria.history is not None
    assert len(memoria.history[0]) == 1
    memoria.reset_memory()
    assert memoria.history is None
    assert Memoria(2, 6, 3, 4, 3).history is None


def test_saved_and_loaded(tmp_path: Path) -> None:
    memoria, _ = life("dense", 4)
    assert memoria.history is not None
    history = memoria.history[1]
    history.save(tmp_path / "h.npz")
    again = HistoryManager.load(tmp_path / "h.npz")
    assert list(again) == list(history)
    assert again.firings_per_time == history.firings_per_time
    HistoryManager().save(tmp_path / "empty.npz")
    assert len(HistoryManager.load(tmp_path / "empty.npz")) == 0


def test_files_that_are_none(tmp_path: Path) -> None:
    life("dense", 4, 5)[0].history[0].save(tmp_path / "h.npz")  # type: ignore[index]
    (tmp_path / "cut.npz").write_bytes((tmp_path / "h.npz").read_bytes()[:-40])
    (tmp_path / "text.npz").write_text("no history")
    for name in ("cut.npz", "text.npz"):
        with pytest.raises(DamageError, match=name):
            HistoryManager.load(tmp_path / name)
    with pytest.raises(StorageError, match=r"none\.npz"):
        HistoryManager.load(tmp_path / "none.npz")
    with pytest.raises(StorageError, match="nowhere"):
        HistoryManager().save(tmp_path / "nowhere" / "h.npz")


def test_an_engram_that_never_was() -> None:
    memoria, _ = life("dense", 5, 4)
    assert memoria.history is not None
    with pytest.raises(InputError, match=r"999.*the ids are 0 to"):
        memoria.history[0].inspect(999)
    with pytest.raises(InputError, match="none yet"):
        HistoryManager().inspect(0)


def test_slices_and_lives_are_told_when_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    memoria, seen = life("sparse", 6)
    assert memoria.history is not None
    history, mine = memoria.history[0], [summaries[0] for summaries in seen]
    assert history[2:5] == mine[2:5]
    assert history.summaries[::-7] == mine[::-7]
    assert history.summaries.index(mine[3]) == 3
    assert history.summaries != mine[1:]
    with pytest.raises(IndexError, match="there are 30"):
        history[30]
    monkeypatch.setattr(HistoryManager, "_summary", None)
    assert len(history.inspect(history.engram_ids[0]).summaries) > 0


def test_a_changed_byte_is_noticed_or_means_nothing(tmp_path: Path) -> None:
    memoria, _ = life("dense", 4, 5)
    assert memoria.history is not None
    path = tmp_path / "h.npz"
    memoria.history[0].save(path)
    told, raw = list(memoria.history[0]), path.read_bytes()
    noticed = 0
    for at in range(0, len(raw), 3):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :])
        try:
            again = HistoryManager.load(path)
        except (DamageError, StorageError):
            noticed += 1
        else:
            assert list(again) == told
    assert noticed > len(raw) // 6


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: parts["set_ids"].__iadd__(10**6),
        lambda parts: parts["fired"].__isub__(10**6),
        lambda parts: parts["firing_ends"].__imul__(3),
        lambda parts: parts["expiry"].fill(np.nan),
        lambda parts: parts.update(expiry=parts["expiry"][:-1]),
        lambda parts: parts.update(bounds=parts["bounds"][:, :1]),
        lambda parts: parts.update(fired=parts["fired"].astype(np.float32)),
    ],
)
def test_numbers_that_do_not_fit_together(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    memoria, _ = life("dense", 4, 5)
    assert memoria.history is not None
    path = tmp_path / "h.npz"
    memoria.history[0].save(path)
    with np.load(path) as file:
        parts = dict(file)
    change(parts)
    np.savez(path, **parts)
    with pytest.raises(DamageError, match="not a history"):
        HistoryManager.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memoria, _ = life("dense", 4, 5)
    assert memoria.history is not None
    path = tmp_path / "h.npz"
    memoria.history[0].save(path)
    before = path.read_bytes()

    def full(file: Any, **_: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(StorageError, match="No space left"):
        memoria.history[0].save(path)
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["h.npz"]


@pytest.mark.parametrize("wrong", [[1], None, "1", 1.5])
def test_an_id_that_is_none(wrong: Any) -> None:
    memoria, _ = life("dense", 5, 4)
    assert memoria.history is not None
    with pytest.raises(InputError, match="the ids are"):
        memoria.history[0].inspect(wrong)
