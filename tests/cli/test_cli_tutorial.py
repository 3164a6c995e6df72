"""The tutorial of the design, typed into a shell: seven processes on one store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from cli_tools import process


def test_the_tutorial_in_the_shell(tmp_path: Path) -> None:
    torch.manual_seed(42)
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, torch.rand(2, 8, 64).numpy())
    lines = (
        "init t --preset tutorial",
        "add t a.npy",
        "remind t --json",
        "adjust t --delta 0",
        "add t b.npy",
        "remind t --json",
        "adjust t --delta 5 --json",
    )
    ran = [process(*line.split(), cwd=tmp_path) for line in lines]
    assert [(one.code, one.err) for one in ran] == [(0, "")] * len(lines)
    assert [lane["reminded"] for lane in ran[2].json["lanes"]] == [[], []]
    indices = [[one["index"] for one in lane["reminded"]] for lane in ran[5].json["lanes"]]
    assert indices == [[0, 6, 4, 3, 2], [0, 7, 6, 5, 4]]
    assert ran[6].json["step"] == 2
