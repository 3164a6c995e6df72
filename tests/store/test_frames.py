"""Data frames of a store hold what inspect tells of it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from past_lives import PastLife, begin, live

from memoria.analysis import open_chronicle
from memoria.config import MemoriaConfig
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore
from memoria.store.compacting import compact


@pytest.mark.parametrize("seed", [1, 2, 5])
@pytest.mark.parametrize("compacted", [False, True])
def test_frames_hold_what_inspect_tells(quick_folder: Path, seed: int, compacted: bool) -> None:
    path, life = quick_folder / "store", PastLife(seed)
    live(life, path, 20, random.Random(seed))
    if compacted:
        compact(path)
        life.go_on(path, 4)
    begin(life, path, "idle")
    with open_chronicle(path) as chronicle, Inspection.open(path) as view:
        frames = chronicle.to_pandas()
        engrams, firings, steps = frames["engrams"], frames["firings"], frames["steps"]
        living = engrams[engrams["forgotten"] == 0]
        told = view.engram_list()
        for ours, theirs in (
            ("id", "id"),
            ("lane", "lane"),
            ("memory", "type"),
            ("lifespan", "lifespan"),
            ("fires", "fire_count"),
            ("text", "text"),
        ):
            mine = [None if one is np.nan else one for one in living[ours].tolist()]
            assert mine == [one[theirs] for one in told], ours
        assert set(engrams["memory"]) <= {"shortterm", "longterm", "forgotten"}
        for one in engrams.sample(8, replace=True, random_state=seed).itertuples():
            story = view.engram(one.id)
            fired = firings[firings["id"] == one.id]
            assert one.created == story["created"]["step"]
            assert fired["step"].tolist() == [each["step"] for each in story["firings"]]
            assert fired["gain"].tolist() == [each["gain"] for each in story["firings"]]
            assert fired["lifespan"].tolist() == [each["lifespan"] for each in story["firings"]]
        known = steps[steps["known"]]
        history = {one["step"]: one for one in view.history()}
        for row in known.itertuples():
            assert row.made == history[row.step]["added"]
            assert row.shortterm + row.longterm == history[row.step]["living"]
            assert row.reminded == history[row.step]["fired"] - row.made
        assert steps["step"].tolist() == list(range(1, view.step + 1))
        assert len(known) == view.step + 1 - chronicle.first_step
        assert "text" not in chronicle.frames(texts=False)["engrams"]


def test_frames_of_an_empty_store(tmp_path: Path) -> None:
    MemoryStore.create(tmp_path / "s", MemoriaConfig(hidden_dim=2)).close()
    with open_chronicle(tmp_path / "s") as chronicle:
        assert [len(frame) for frame in chronicle.to_pandas().values()] == [0, 0, 0]
