"""The pool of vectors: whatever it holds, a gather gives what the files hold."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.chunkstore.files import StoreFiles
from memoria.chunkstore.spec import ArraySpec
from memoria.core.similarity import exact_squares
from memoria.store import vectors as vectors_module
from memoria.store.vectors import FileVectors

LANES, DIMENSION = 2, 3


class Whole:
    """The vectors of a memory that was never compacted."""

    def __init__(self, files: StoreFiles) -> None:
        self._files = files

    def vectors(self, ids: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, Any]:
        return self._files.gather("vectors", ids)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), least=st.integers(1, 6), most=st.integers(1, 40))
def test_a_gather_gives_what_the_files_hold(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, least: int, most: int
) -> None:
    path: Path = tmp_path_factory.mktemp("pool") / "s"
    files = StoreFiles.create(path, [ArraySpec("vectors", "f4", (DIMENSION,), 2, 4, math.nan)], {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors_module, "_LEAST_ROWS", least)
        patch.setattr(vectors_module, "_CACHE_BYTES", 4 * DIMENSION * most)
        pool = FileVectors(Whole(files), LANES, DIMENSION)  # type: ignore[arg-type]
    ids = np.empty((LANES, 0), np.int64)  # by position
    pool.load(64)
    made = 0
    for _ in range(data.draw(st.integers(1, 12))):
        if ids.shape[1] + 5 > 64 or (ids.shape[1] and data.draw(st.integers(0, 5)) == 0):
            stays = data.draw(st.lists(st.booleans(), min_size=ids.shape[1], max_size=ids.shape[1]))
            kept = np.flatnonzero(stays)
            pool.pack(np.tile(kept, (LANES, 1)), 64)
            ids = ids[:, kept]
        if data.draw(st.booleans()):
            count = data.draw(st.integers(1, 5))
            new = np.arange(made, made + count)
            rows = (
                np.arange(LANES * count * DIMENSION, dtype=np.float32).reshape(
                    LANES, count, DIMENSION
                )
                + 1000.0 * made
            )
            files.append("vectors", rows.transpose(1, 0, 2).reshape(-1, DIMENSION))
            files.commit()
            at = np.tile(np.arange(ids.shape[1], ids.shape[1] + count), (LANES, 1))
            pool.append(at, rows)
            ids = np.concatenate((ids, np.tile(new, (LANES, 1))), axis=1)
            made += count
        width = ids.shape[1]
        wanted = data.draw(
            st.lists(
                st.lists(st.integers(-1, width - 1), min_size=4, max_size=4),
                min_size=LANES,
                max_size=LANES,
            )
        )
        at = np.array(wanted)
        local = np.where(
            at >= 0, np.take_along_axis(ids, np.maximum(at, 0), 1) if width else -1, -1
        )
        got = pool.gather(at, ids)
        looked_at, squares = pool.compare(at, ids)
        assert np.array_equal(looked_at, got)
        assert np.array_equal(squares, exact_squares(got))
        everything = files.read("vectors").reshape(-1, LANES, DIMENSION)
        for lane in range(LANES):
            for column in range(4):
                one = local[lane, column]
                expected = everything[one, lane] if one >= 0 else np.zeros(DIMENSION)
                np.testing.assert_array_equal(got[lane, column], expected)
    files.close()
