"""What strangers write where a number, a text or a list is expected."""

from __future__ import annotations

import random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 7, 255, 2**20, 2**31 - 1, 2**31, 2**32, 2**40, 2**53, 2**56, 2**60, 2**62),
    *(2**63 - 1, 2**63, -(2**31), -(2**63), 10**30, -(10**30)),
    *(0.0, -0.0, 0.5, 1e-5, 5e-324, 1e16, 1e308, -1e308),
)
TEXTS: tuple[str, ...] = (
    *(
        "",
        "x",
        "NaN",
        "Infinity",
        "null",
        "..",
        "../../evil",
        "/etc/passwd",
        ".",
        "a/b",
        "zarr.json",
    ),
    *("\x1b]0;owned\x07", "\x1b[2J", "\u202egnp.exe", "\x9b31m", "\ud800", "\x00", "[link=x]y[/]"),
    *("bytes", "crc32c", "array", "group", "hash", "hf:evil", "float32", "|O", "uniform:1e308"),
    "long " * 20_000,
)
INTEGERS = tuple(n for n in NUMBERS if isinstance(n, int) and -(2**63) <= n < 2**63)
FLOATS = (*(float(n) for n in NUMBERS), float("nan"), float("inf"), float("-inf"), 3.25, 64.5)


def anything(rng: random.Random) -> Any:
    """A JSON value of any kind."""
    return rng.choice(
        (
            lambda: rng.choice(NUMBERS),
            lambda: rng.choice(NUMBERS),
            lambda: rng.choice(TEXTS),
            lambda: rng.choice((None, True, False)),
            lambda: rng.choice(([], {}, [[]], {"a": 1}, [{}], [None], {"": {}}, [0] * 5000)),
            lambda: nested(rng.choice((10, 400, 900))),
            lambda: {rng.choice(TEXTS): rng.choice(NUMBERS)},
            lambda: [rng.choice(NUMBERS) for _ in range(rng.randrange(1, 5))],
        )
    )()


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    made: Any = []
    for _ in range(depth):
        made = [made]
    return made
