"""Small stores with one byte changed: `verify` names its file, or the change means nothing."""

from __future__ import annotations

import json
import random
import shutil
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from math import gcd
from pathlib import Path

from fault_runs import Tally
from verify_tools import SAMPLES, files_of

from memoria.chunkstore.spec import parse_array
from memoria.errors import OtherFormatError
from memoria.store.verify import verify


def is_harmless(name: str, before: bytes, after: bytes) -> bool:
    """Whether the format allows the change: a child's metadata may lag, or be spaced otherwise."""
    if not name.endswith("/zarr.json"):
        return False
    try:
        old, new = json.loads(before), json.loads(after)
        if old == new:
            return True
        (spec, rows), (other, shown) = parse_array("x", old), parse_array("x", new)
    except ValueError:
        return False
    return spec == other and shown <= rows


def flip(store: Path, name: str, at: int, mask: int) -> str:
    """What is wrong with what `verify` says of the byte ``at`` of a file changed; "" if nothing."""
    content = (store / name).read_bytes()
    changed = bytearray(content)
    changed[at] ^= mask
    (store / name).write_bytes(changed)
    try:
        named = [one.path for one in verify(store).findings]
    except OtherFormatError:
        named = [name] if (name, content[at - 1 : at]) == ("zarr.json", b":") else []
    finally:
        (store / name).write_bytes(content)
    if name in named or is_harmless(name, content, changed):
        return ""
    return f"{name}, byte {at} xor {mask}: {named}"


def flips(folder: Path, rng: random.Random, is_over: Callable[[], bool]) -> Tally:
    """Every byte of the sample stores, in mixed order, one of its bits at a time."""
    tally = Tally("one byte flipped")
    stores = [Path(shutil.copytree(sample, folder / sample.name)) for sample in SAMPLES]
    files = [(store, name) for store in stores for name in files_of(store)]
    ends = [*accumulate((store / name).stat().st_size for store, name in files)]
    tally.possible = total = ends[-1]
    stride = next(n for n in iter(lambda: rng.randrange(1, total), None) if gcd(n, total) == 1)
    for number in range(total):
        if is_over():
            break
        at = number * stride % total  # each number below the total once
        file = bisect_right(ends, at)
        store, name = files[file]
        tally.tried += 1
        place = at - (ends[file - 1] if file else 0)
        if problem := flip(store, name, place, 1 << rng.randrange(8)):
            tally.problems.append(f"{store.name}: {problem}")
    return tally
