"""What a score in float32 decides is what float64 would decide."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.core.arrays import NUMPY, ArrayOps
from memoria.core.similarity import Cue, exact_squares, log_correlation
from memoria.core.torch_arrays import TorchOps

backends = pytest.mark.parametrize("ops", [NUMPY, TorchOps()], ids=["numpy", "torch"])


@backends
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    dimension=st.sampled_from([1, 3, 64, 768]),
    scale=st.sampled_from([1e-3, 0.1, 1.0, 30.0, 1e4, 1e18]),
    shift=st.sampled_from([0.0, 1.0, 1e4]),
    count=st.integers(1, 6),
    copies=st.booleans(),
)
def test_the_best_stay(
    ops: ArrayOps, seed: int, dimension: int, scale: float, shift: float, count: int, copies: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    cue = torch.randn(2, 3, dimension, generator=generator) * scale + shift
    keys = torch.randn(2, 40, dimension, generator=generator) * scale + shift
    if copies:
        keys[:, 10:20] = cue[:, :1] + keys[:, 10:20] * 1e-6
        keys[:, 30] = keys[:, 12]
    valid = torch.ones(2, 40, dtype=torch.bool)
    valid[1, 25:] = False
    asked, known, counted = (ops.array(one) for one in (cue, keys, valid))
    sure, undecided = map(
        ops.numpy,
        Cue(asked, ops).split_nearest(known, exact_squares(known, ops), counted, count),
    )
    near = sure | undecided
    assert not (near & ~valid.numpy()).any()
    assert not (sure & undecided).any()
    score = ops.numpy(log_correlation(asked, known, ops))
    key = np.where(valid.numpy(), np.maximum(score - 1.0, -3e38).astype(np.float32), -math.inf)
    best = np.argsort(-key, axis=1, kind="stable")[:, :count]
    assert np.take_along_axis(near, best, 1).all()
    among_best = np.zeros(sure.shape, np.bool_)
    np.put_along_axis(among_best, best, values=True, axis=1)
    assert (among_best | ~sure).all()


@backends
def test_it_leaves_most_out(ops: ArrayOps) -> None:
    generator = torch.Generator().manual_seed(0)
    cue = torch.nn.functional.normalize(torch.randn(1, 50, 384, generator=generator), dim=2)
    keys = torch.nn.functional.normalize(torch.randn(1, 400, 384, generator=generator), dim=2)
    keys[:, :40] = torch.nn.functional.normalize(keys[:, :40] + cue[:, :40], dim=2)
    everything = ops.full((1, 400), True, "bool")
    known = ops.array(keys)
    squares = exact_squares(known, ops)
    sure, undecided = Cue(ops.array(cue), ops).split_nearest(known, squares, everything, 30)
    assert 15 < int(sure.sum()) < 30 <= int((sure | undecided).sum()) < 60


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_nothing_is_left_out_where_products_round_more(precision: str) -> None:
    """Those settings allow products with fewer digits than the bound counts on."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        valid = torch.ones(1, 9, dtype=torch.bool)
        cue = Cue(torch.zeros(1, 1, 2), TorchOps())
        keys = torch.randn(1, 9, 2)
        sure, undecided = cue.split_nearest(keys, exact_squares(keys, TorchOps()), valid, 1)
        assert not sure.any()
        assert undecided.all()
    finally:
        torch.set_float32_matmul_precision(before)
