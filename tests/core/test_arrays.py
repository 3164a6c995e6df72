"""The array operations of both libraries, number for number beside plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from memoria.core.arrays import NUMPY, Array, ArrayOps
from memoria.core.ties import hash_keys
from memoria.core.torch_arrays import TorchOps

backends = pytest.mark.parametrize("ops", [NUMPY, TorchOps()], ids=["numpy", "torch"])
lanes = pytest.mark.parametrize("lanes", [1, 3])


def columns(lanes: int, width: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(-1, width, (lanes, 7))


@backends
@lanes
def test_take_put_and_add(ops: ArrayOps, lanes: int) -> None:
    array, at = np.arange(lanes * 5.0).reshape(lanes, 5), columns(lanes, 5)
    taken = ops.numpy(ops.take(ops.array(array), ops.array(at), -9)).tolist()
    for lane, row in enumerate(at.tolist()):
        assert taken[lane] == [-9 if i < 0 else array[lane, i] for i in row]
    nothing = ops.take(ops.array(array[:, :0]), ops.array(np.full((lanes, 2), -1)), 7)
    assert ops.numpy(nothing).tolist() == [[7, 7]] * lanes
    added = ops.array(array.copy())
    ops.add_at(added, ops.array(at), ops.array(np.ones(at.shape)))
    for lane, row in enumerate(at.tolist()):
        assert ops.numpy(added)[lane].tolist() == [array[lane, i] + row.count(i) for i in range(5)]


@backends
@lanes
def test_columns_masks_and_distinct(ops: ArrayOps, lanes: int) -> None:
    at = columns(lanes, 5, 3)
    mask = ops.mask(ops.array(at), 5)
    assert ops.numpy(mask).tolist() == [[i in row for i in range(5)] for row in at.tolist()]
    expected = [sorted(set(row) - {-1}) for row in at.tolist()]
    width = max(map(len, expected))
    padded = [row + [-1] * (width - len(row)) for row in expected]
    assert ops.numpy(ops.columns(mask)).tolist() == padded
    assert ops.numpy(ops.distinct(ops.array(at))).tolist() == padded
    for empty in (ops.distinct(ops.array(at[:, :0])), ops.columns(mask[:, :0])):
        assert tuple(empty.shape) == (lanes, 0)


@backends
def test_pairs_count_each_engram_once(ops: ArrayOps) -> None:
    counts = ops.full((2, 4, 4), 0, "int32")
    ops.add_pairs(counts, ops.array(np.array([[0, 2, 2, -1], [3, -1, -1, -1]])))
    expected = np.zeros((2, 4, 4), np.int32)
    expected[0][np.ix_([0, 2], [0, 2])] = 1
    expected[1, 3, 3] = 1
    assert np.array_equal(ops.numpy(counts), expected)


@backends
def test_pairs_are_taken(ops: ArrayOps) -> None:
    array, at = np.arange(36, dtype=np.int32).reshape(6, 6), np.array([0, 2, 5])
    out = ops.full((4, 4), -1, "int32")
    ops.take_pairs(ops.array(array), ops.array(at), out[:3, :3])
    expected = np.full((4, 4), -1)
    expected[:3, :3] = array[np.ix_(at, at)]
    assert ops.numpy(out).tolist() == expected.tolist()


@backends
def test_sums_of_exponentials_at_the_edges(ops: ArrayOps) -> None:
    array = np.array([[[-1e300, -np.inf, 0.0, -1e6], [-1e300, -np.inf, 0.0, -1e6]]])
    found = ops.numpy(ops.log_sum_exp(ops.array(array)))[0]
    assert found.tolist() == [-1e300, -np.inf, np.log(2.0), -1e6 + np.log(2.0)]


def test_both_hash_alike() -> None:
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 2**63 - 1, (3, 50))
    lane_ids = np.array([0, 7, 2**40])
    torch = TorchOps()
    for seed, stream, step in ((0, 0, 0), (2**63 - 1, 1, 12), (-5, 3, 10**9)):
        found = hash_keys(seed, stream, step, lane_ids, keys)
        other = hash_keys(seed, stream, step, torch.array(lane_ids), torch.array(keys))
        assert np.array_equal(found, torch.numpy(other))
        assert found.min() >= 0
