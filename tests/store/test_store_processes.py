"""Stores in real processes: one command each, and processes that are killed at work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from spec_reader import SpecReader

import memoria
from memoria.config import MemoriaConfig
from memoria.errors import StoreLockedError
from memoria.store import MemoryStore, life
from memoria.store.reading import open_files

STEPS = 400
CONFIG = MemoriaConfig(
    hidden_dim=4,
    lanes=2,
    num_reminded_stm=2,
    stm_capacity=6,
    ltm_search_depth=2,
    initial_lifespan=7.0,
    num_final_ltms=3,
    backbone="array",
)

# What every process knows: the data of a step follows from its number.
COMMON = """
import sys, time
import numpy as np
from memoria.store import MemoryStore

def data(step):
    numbers = (np.arange(16) * 7 + step * 13) * (step + 3) % 31
    return (numbers / 16 - 1).astype("f4").reshape(2, 2, 4)

path = sys.argv[1]
"""

ONE_STEP = """
import torch
with MemoryStore.open(path, "r+") as store:
    step = store.timestep
    verb = sys.argv[2]
    if verb == "add":
        store.add(data(step), [[f"{step}", None]] * 2, [[("s", step), None]] * 2)
    elif verb == "remind":
        store.remind()
    else:
        store.adjust("uniform:2.25")
    print(store.digest())
"""

STREAM = """
with MemoryStore.open(path, "r+") as store:
    print("open", flush=True)
    while store.timestep < int(sys.argv[2]):
        store.step(data(store.timestep), "uniform:2.25")
        if store.timestep % 3 == 0:
            store.commit()
            print(store.timestep, flush=True)
"""


def environment() -> dict[str, str]:
    roots = [str(Path(memoria.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(roots), "OMP_NUM_THREADS": "1"}


def started(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", COMMON + script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def finished(script: str, *arguments: object) -> str:
    process = started(script, *arguments)
    out, problems = process.communicate(timeout=120)
    assert process.returncode == 0, problems
    return out.strip()


def data(step: int) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    names: dict[str, object] = {}
    exec(COMMON.replace("path = sys.argv[1]", ""), names)
    made = names["data"]
    assert callable(made)
    numbers: np.ndarray[tuple[int, int, int], np.dtype[np.float32]] = made(step)
    return numbers


@pytest.mark.slow
def test_one_command_a_process_is_one_process(tmp_path: Path) -> None:
    """Two steps, verb by verb in six processes, on a store with some life behind it."""
    one, many = tmp_path / "one", tmp_path / "many"
    for path in (one, many):
        with MemoryStore.create(path, CONFIG) as store:
            for step in range(12):
                store.step(data(step), "uniform:2.25")
    digests = []
    with MemoryStore.open(one, "r+") as store:
        for step in (12, 13):
            store.add(data(step), [[f"{step}", None]] * 2, [[("s", step), None]] * 2)
            digests.append(store.digest())
            store.remind()
            digests.append(store.digest())
            store.adjust("uniform:2.25")
            digests.append(store.digest())
    assert [finished(ONE_STEP, many, v) for v in ("add", "remind", "adjust") * 2] == digests
    assert len(set(digests)) == 6
    found = []
    for path in (one, many):
        files = open_files(path)
        found.append(life.fold(files, CONFIG, life.StepTable.read(files)))
        files.close()
    for field in ("ids", "types", "expiry", "born", "fires", "first_short"):
        np.testing.assert_array_equal(getattr(found[0], field), getattr(found[1], field))
    a, b = SpecReader(one), SpecReader(many)
    edges = [r.group[f"state/{r.attributes['state']['generation']}/edges/count"] for r in (a, b)]
    assert edges[0][...].tolist() == edges[1][...].tolist()


@pytest.fixture(scope="module")
def unbroken() -> list[str]:
    """The digests after 0, 1, ... steps of a run that nothing disturbs."""
    import tempfile

    with tempfile.TemporaryDirectory() as place:
        store = MemoryStore.create(Path(place) / "store", CONFIG)
        digests = [store.digest()]
        for step in range(STEPS):
            store.step(data(step), "uniform:2.25")
            digests.append(store.digest())
        store.close()
    return digests


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_process_leaves_its_committed_steps(
    how: signal.Signals, tmp_path: Path, unbroken: list[str]
) -> None:
    path = tmp_path / "store"
    MemoryStore.create(path, CONFIG).close()
    process = started(STREAM, path, 10**9)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    with pytest.raises(StoreLockedError, match=str(process.pid)):
        MemoryStore.open(path, "r+")
    for _ in range(4):
        acknowledged = int(process.stdout.readline())
    time.sleep(0.01 * int(how))  # somewhere within a step or a commit
    process.send_signal(how)
    rest, _ = process.communicate(timeout=60)
    acknowledged = max([acknowledged, *map(int, rest.split())])
    assert process.returncode == -how or how == signal.SIGINT
    with MemoryStore.open(path) as store:
        kept = store.timestep
        assert kept >= acknowledged >= 12
        assert kept % 3 == 0
        assert store.digest() == unbroken[kept]
    assert SpecReader(path).digest() == unbroken[kept]

    more = min(STEPS, kept + 20)
    with MemoryStore.open(path, "r+") as store:
        for step in range(kept, more):
            store.step(data(step), "uniform:2.25")
    with MemoryStore.open(path) as store:
        assert store.digest() == unbroken[more]
    assert SpecReader(path).digest() == unbroken[more]
    assert not list(path.rglob("*.tmp"))
