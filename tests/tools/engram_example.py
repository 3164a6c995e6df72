"""Two lanes of engrams of every type, written out, for the tests of `Engrams`."""

from __future__ import annotations

from typing import Any

import torch

from memoria import Engrams, EngramType

NULL, WORKING, SHORT, LONG = (int(kind) for kind in EngramType)


def example() -> Engrams:
    """Lane 0: long, long, short, working. Lane 1: long, short, working, null."""
    data = torch.arange(2 * 4 * 3, dtype=torch.float32).reshape(2, 4, 3)
    data[1, 3] = 0
    counts = torch.tensor(
        [
            [[4, 2, 1, 0], [2, 5, 3, 0], [1, 3, 3, 1], [0, 0, 1, 1]],
            [[2, 1, 0, -1], [1, 2, 0, -1], [0, 0, 1, -1], [-1, -1, -1, -1]],
        ]
    )
    return Engrams(
        data,
        induce_counts=counts,
        engrams_types=torch.tensor([[3, 3, 2, 1], [3, 2, 1, 0]]),
        lifespan=torch.tensor([[5.0, 2.5, 1.0, 3.0], [4.0, 0.5, 3.0, -1.0]]),
        age=torch.tensor([[7, 6, 2, 0], [5, 1, 0, -1]]),
        engram_ids=torch.tensor([[0, 2, 5, 6], [1, 4, 8, -1]]),
        track_age=True,
        track_engram_id=True,
    )


FIELDS = ("data", "induce_counts", "engrams_types", "lifespan", "age", "engram_ids")


def fields(engrams: Engrams) -> dict[str, Any]:
    values = {name: getattr(engrams, name) for name in FIELDS}
    return {name: None if v is None else v.clone() for name, v in values.items()}


def assert_fields_equal(a: dict[str, Any], b: dict[str, Any]) -> None:
    for name in FIELDS:
        assert torch.equal(a[name], b[name]), name
