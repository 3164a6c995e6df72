"""Verbs on a store work where torch cannot be imported, and the memory is the same with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from memoria.errors import ConfigError
from memoria.store import MemoryStore

_LIFE = """
import json, sys
sys.modules["torch"] = None
from memoria_cli.__main__ import main
for words in json.loads(sys.argv[1]):
    code = main(words)
    if code:
        sys.exit(f"{words}: {code}")
"""

VERBS = [
    ["init", "notes", "--backbone", "hash", "--hidden-dim", "64", "--wm-length", "2"],
    ["step", "notes", "diary.txt"],
    ["add", "notes", "--text", "The bees sleep."],
    ["remind", "notes"],
    ["adjust", "notes"],
    ["remind", "notes", "--cue-text", "bees", "--peek"],
    ["inspect", "notes"],
    ["list", "notes"],
    ["forget", "notes", "3", "--yes"],
    ["replay", "notes", "--recompute"],
    ["verify", "notes"],
]


def test_every_verb_on_a_store_runs_without_torch(tmp_path: Path) -> None:
    sentences = [f"On day {day} we saw {day % 7} hares by the river." for day in range(60)]
    (tmp_path / "diary.txt").write_text(" ".join(sentences))
    words = [sys.executable, "-c", _LIFE, json.dumps(VERBS)]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_store_stepped_on_torch_is_the_same_memory(tmp_path: Path) -> None:
    from memoria.config import MemoriaConfig

    config = MemoriaConfig.preset("tutorial", rule="uniform:2")
    rng = np.random.default_rng(3)
    steps = rng.standard_normal((14, 2, 8, 64)).astype(np.float32)
    digests = []
    for name, device in (("numpy", None), ("torch", "cpu")):
        MemoryStore.create(tmp_path / name, config).close()
        for part in (steps[:9], steps[9:]):
            with MemoryStore.open(tmp_path / name, "r+", device=device) as store:
                store.step_stream(part)
                store.pin(store.peek(part[0]).ids[:, :2].max(0))
                store.edit(int(store.peek(part[0]).ids[0, 0]), vector=part[0, 0, 0])
        with MemoryStore.open(tmp_path / name, "r+", device=device) as store:
            store.add(steps[0])
            found = store.remind()
            assert isinstance(found.memories, np.ndarray)
            digests.append((found.ids.tolist(), found.indices.tolist(), store.digest()))
    assert digests[0] == digests[1]


def test_a_device_that_is_not_there_is_refused(tmp_path: Path) -> None:
    from memoria.config import MemoriaConfig

    MemoryStore.create(tmp_path / "s", MemoriaConfig.preset("tutorial")).close()
    with pytest.raises(ConfigError, match="nowhere"):
        MemoryStore.open(tmp_path / "s", "r+", device="nowhere")
