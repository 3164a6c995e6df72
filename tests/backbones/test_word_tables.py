"""Vectors of single words that backbones offer."""

from __future__ import annotations

import numpy as np

from memoria.backbones import load_backbone
from memoria.backbones.base import sum_token_rows


def test_backbones_without_a_vocabulary_have_no_word_table() -> None:
    assert load_backbone("hash").word_table() is None
    assert load_backbone("array", 4).word_table() is None


def test_sums_of_token_rows() -> None:
    rows = np.array([[1, 2], [10, 20], [100, 200]], dtype=np.float16)
    sums = sum_token_rows(rows, [[0, 2], [], [1, 1, 1], []])
    assert sums.tolist() == [[101, 202], [0, 0], [30, 60], [0, 0]]
    assert sum_token_rows(rows, []).shape == (0, 2)
