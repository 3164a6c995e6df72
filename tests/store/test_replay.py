"""Replay: the same life again, from its log and from its inputs."""

from __future__ import annotations

import contextlib
import random
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from spec_reader import SpecReader

from memoria.chunkstore.codec import encode_file
from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, InputError, StoreExistsError
from memoria.store import MemoryStore
from memoria.store.compacting import compact
from memoria.store.reading import open_files
from memoria.store.replay.recompute import recompute
from memoria.store.replay.rerun import rerun
from memoria.store.replay.sampling import sample
from memoria.store.replay.steps import replay_log
from memoria.store.replay.walk import walk

CONFIG = {
    "hidden_dim": 6,
    "num_reminded_stm": 2,
    "stm_capacity": 5,
    "ltm_search_depth": 3,
    "initial_lifespan": 5.0,
    "num_final_ltms": 3,
    "wm_length": 2,
    "rule": "uniform:2",
}


def live(path: Path, seed: int, steps: int = 30, **changes: object) -> None:
    """A life with texts, given gains now and then, events and several commits."""
    config = MemoriaConfig.from_values({**CONFIG, **changes})
    rng, chance = np.random.default_rng(seed), random.Random(seed)
    with MemoryStore.create(path, config) as store:
        for step in range(steps):
            data = rng.normal(size=(config.lanes, 2, 6)).astype(np.float32)
            texts = [[f"{lane}-{step}", None] for lane in range(config.lanes)]
            store.add(data, texts=texts)
            reminded = store.remind()
            alive = [i for row in reminded.ids.tolist() for i in row if i >= 0]
            store.adjust(chance.choice([None, "correlation:3", 1.7, 0.0]))
            if alive and chance.random() < 0.3:
                act = chance.choice([store.forget, store.pin, store.unpin])
                with contextlib.suppress(InputError):  # it has gone, or was not pinned
                    act([chance.choice(alive)])
            if chance.random() < 0.3:
                store.commit()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lived") / "store"
    live(path, 1, 40, lanes=2)
    return path


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    seed=st.integers(0, 10**6),
    lanes=st.integers(1, 3),
    tie=st.sampled_from(["hash", "oldest"]),
    layout=st.sampled_from(["dense", "sparse"]),
)
def test_every_life_comes_out_bit_for_bit(seed: int, lanes: int, tie: str, layout: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        live(path, seed, 25, lanes=lanes, tie_break=tie, layout=layout)
        for found in (recompute(path), replay_log(path), recompute(path, first=9, last=20)):
            assert found.identical
            assert not found.differences
            assert not found.near_ties
        assert found.steps == 12
        compact(path)
        assert recompute(path).steps == 0
        with MemoryStore.open(path, "r+") as store:
            for row in np.eye(6, dtype=np.float32):
                store.step(np.tile(row, (lanes, 2, 1)))
        assert recompute(path).record()["steps"] == 6
        assert recompute(path).identical
        with pytest.raises(InputError, match="compaction"):
            recompute(path, first=3)


def test_given_gains_are_told_from_those_of_the_rule(tmp_path: Path) -> None:
    config = MemoriaConfig.from_values(CONFIG)
    with MemoryStore.create(tmp_path / "s", config) as store:
        for row in np.eye(6, dtype=np.float32):
            store.step(row[None], None if row[0] else 3.25)
    found = recompute(tmp_path / "s")
    assert found.identical
    assert found.given_gains == 5


def forge(path: Path, name: str, cell: tuple[int, ...], value: float) -> None:
    """Change one number of an array, its checksum made right."""
    files = open_files(path)
    spec, rows = files.store.spec(name), files.read(name).copy()
    files.close()
    rows[cell] = value
    whole = np.full((spec.file_rows, *spec.row_shape), spec.fill, spec.np_dtype)
    whole[: len(rows)] = rows
    parts = encode_file(spec, whole, len(rows))
    (path / name / spec.file_name(0)).write_bytes(b"".join(bytes(part) for part in parts))


def test_a_changed_log_is_found_and_named(lived: Path, tmp_path: Path) -> None:
    live(tmp_path / "s", 1, 40, lanes=2)
    files = open_files(tmp_path / "s")
    old, ends = files.read("log/ids"), files.read("log/steps")[:, 2]
    files.close()
    step = 30
    place = int(ends[step - 1]) - 1  # the last one reminded in this step
    other = next(i for i in range(1, 200, 2) if i not in old[ends[step - 2] : ends[step - 1]])
    forge(tmp_path / "s", "log/ids", (place,), float(other))
    found = replay_log(tmp_path / "s")
    assert [d.step for d in found.differences] == [step]
    assert found.differences[0].kind == "digest"


def test_an_input_that_changed_is_no_near_tie(tmp_path: Path) -> None:
    live(tmp_path / "s", 5, 20, lanes=1)
    forge(tmp_path / "s", "vectors", (38, 0), 9.0)
    found = recompute(tmp_path / "s")
    assert not found.identical
    assert found.different_steps == 1
    assert found.near_ties == []
    assert found.record()["first_difference"]["step"] == 20


def test_the_same_life_under_other_parameters(lived: Path, tmp_path: Path) -> None:
    same = rerun(lived, tmp_path / "same", {})
    other = rerun(lived, tmp_path / "other", {"stm_capacity": 2, "num_final_ltms": 1})
    assert same.steps == other.steps == 40
    with MemoryStore.open(tmp_path / "other") as store:
        assert store.config.stm_capacity == 2
        assert store.timestep == 40
    one, two = open_files(lived), open_files(tmp_path / "other")
    assert np.array_equal(one.read("vectors"), two.read("vectors"))
    assert np.array_equal(one.read("texts/bytes"), two.read("texts/bytes"))
    assert not np.array_equal(one.read("log/ids"), two.read("log/ids"))
    one.close()
    two.close()
    assert recompute(tmp_path / "other").identical
    with pytest.raises(ConfigError, match="hidden_dim"):
        rerun(lived, tmp_path / "no", {"hidden_dim": 3})
    assert not (tmp_path / "no").exists()


def test_a_life_by_its_rule_alone_is_lived_again_the_same(tmp_path: Path) -> None:
    config = MemoriaConfig.from_values({**CONFIG, "lanes": 2})
    rng = np.random.default_rng(0)
    with MemoryStore.create(tmp_path / "s", config) as store:
        for step in range(20):
            store.step(rng.normal(size=(2, 2, 6)).astype(np.float32))
            if step == 9:
                store.pin([4])
    with MemoryStore.open(tmp_path / "s") as store:
        digest = store.digest()
    assert rerun(tmp_path / "s", tmp_path / "again", {}).digest == digest


@pytest.mark.parametrize("priority", ["uniform", "lifespan", "recency"])
def test_a_draw_is_repeatable_and_of_what_lives(lived: Path, priority: str) -> None:
    drawn = sample(lived, 6, priority, seed=4)
    again = sample(lived, 6, priority, seed=4)
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)
    assert not np.array_equal(drawn["ids"], sample(lived, 6, priority, seed=5)["ids"])
    files = open_files(lived)
    assert np.array_equal(drawn["vectors"], files.vectors(drawn["ids"]))
    files.close()
    assert len(set(drawn["ids"].tolist())) == 6
    assert (drawn["lifespans"] > 0).all()
    assert set(sample(lived, 3, priority, lane=1)["lanes"].tolist()) == {1}
    with pytest.raises(InputError, match="sample = 100000"):
        sample(lived, 100_000, priority)


@pytest.mark.parametrize(
    ("priority", "column", "larger"), [("lifespan", "lifespans", True), ("recency", "ages", False)]
)
def test_a_draw_follows_its_priority(lived: Path, priority: str, column: str, larger: bool) -> None:
    """Over many seeds single draws live longer, or are younger, than those that are all alike."""
    mine = np.mean([sample(lived, 1, priority, seed)[column][0] for seed in range(60)])
    even = np.mean([sample(lived, 1, "uniform", seed)[column][0] for seed in range(60)])
    assert bool(mine > even) is larger


@pytest.mark.parametrize("lanes", [1, 2])
def test_a_walk_shows_every_step_as_the_specification_says(quick_folder: Path, lanes: int) -> None:
    live(quick_folder / "s", 3, lanes=lanes)
    reader = SpecReader(quick_folder / "s")
    assert any(one.pinned for one in reader.state().engrams.values())
    with walk(quick_folder / "s") as course:
        for step in range(1, 31):
            frame = course.go(step)
            expected = reader.state(step).engrams
            alive = ~frame.forgotten
            assert frame.ids[alive].tolist() == sorted(expected)
            left = [one.expiry - step for _, one in sorted(expected.items())]
            assert frame.lifespan[alive].tolist() == left
            assert frame.created == reader.rows_after(step)


def test_a_life_lived_again_is_there_as_a_whole_or_not_at_all(lived: Path, tmp_path: Path) -> None:
    def stopping(done: int, total: int | None) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rerun(lived, tmp_path / "again", {}, progress=stopping)
    assert [path.name for path in tmp_path.iterdir() if "again" in path.name] == []
    (tmp_path / "again").write_text("mine")
    with pytest.raises(StoreExistsError, match="exists already"):
        rerun(lived, tmp_path / "again", {})
    assert (tmp_path / "again").read_text() == "mine"
