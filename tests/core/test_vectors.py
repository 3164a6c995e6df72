"""The vectors of a memory, as they are compared and as they are handed out."""

from __future__ import annotations

import numpy as np
import pytest

from memoria.core.arrays import NUMPY, ArrayOps
from memoria.core.similarity import exact_squares
from memoria.core.torch_arrays import TorchOps
from memoria.core.vectors import ArrayVectors

backends = pytest.mark.parametrize("ops", [NUMPY, TorchOps()], ids=["numpy", "torch"])
CONTIGUOUS, SCATTERED = [[2, 3, 4, 5]] * 2, [[0, 2, 5, 6], [1, 2, -1, -1]]


@backends
@pytest.mark.parametrize("at", [CONTIGUOUS, SCATTERED], ids=["contiguous", "scattered"])
def test_what_is_compared_is_what_is_held(ops: ArrayOps, at: list[list[int]]) -> None:
    data = np.random.default_rng(0).standard_normal((2, 8, 5)).astype(np.float32)
    vectors, ids = ArrayVectors(2, 5, ops), ops.array(np.tile(np.arange(64), (2, 1)))
    vectors.pack(ids[:, :0], 64)
    vectors.append(ids[:, :8], ops.array(data))
    data[1, 2] = 7
    vectors.revise(1, 2, 2, ops.array(data[1, 2]))
    positions = ops.array(np.array(at))
    for _ in range(2):
        keys, squares = vectors.compare(positions, ids)
        gathered = ops.numpy(vectors.gather(positions, ids))
        expected = np.where(
            np.array(at)[..., None] < 0, 0, np.take_along_axis(data, np.array(at)[..., None], 1)
        )
        assert np.array_equal(gathered, expected)
        assert np.array_equal(ops.numpy(keys), expected)
        assert np.array_equal(ops.numpy(squares), exact_squares(expected))
        vectors.pack(ids[:, 1:8], 64)  # in place
        data, positions = data[:, 1:], ops.array(np.maximum(np.array(at) - 1, -1))
        at = ops.numpy(positions).tolist()


def test_what_is_handed_out_does_not_change() -> None:
    vectors, at = ArrayVectors(1, 2, NUMPY), np.arange(3)[None]
    vectors.pack(at[:, :0], 64)
    vectors.append(at, np.ones((1, 3, 2), np.float32))
    taken = vectors.gather(at, at)
    vectors.pack(at[:, :0], 64)
    vectors.append(at, np.zeros((1, 3, 2), np.float32))
    assert (taken == 1).all()
