"""Long library calls show a tqdm bar on stderr when asked to, and never print on stdout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from memoria import MemoriaConfig, MemoryStore
from memoria.backbones.encode import encode_inputs
from memoria.backbones.registry import load_backbone
from memoria.io.progress import no_progress, progress_bar
from memoria.store.replay.recompute import recompute
from memoria.store.verify.verifying import verify


def test_true_draws_a_bar_on_stderr_alone(capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar(True, "counting", "sheep") as show:
        show(1, 0)
        show(2, 4)
        show(4, 4)
    out, err = capfd.readouterr()
    assert out == ""
    assert "counting: 100%" in err
    assert "4/4" in err
    assert " sheep/s" in err
    assert err.endswith("\n")


def test_an_error_closes_the_bar(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no more"), progress_bar(True, "counting", "sheep"):
        raise ValueError("no more")
    assert capfd.readouterr().err.endswith("\n")


def test_a_callback_is_called_as_it_is_and_false_shows_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    calls: list[tuple[int, int]] = []

    def hear(done: int, total: int) -> None:
        calls.append((done, total))

    with progress_bar(hear, "counting", "sheep") as show:
        show(1, 2)
    with progress_bar(False, "counting", "sheep") as show:
        assert show is no_progress
        show(1, 2)
    assert calls == [(1, 2)]
    assert capfd.readouterr() == ("", "")


def test_library_calls_take_true(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s"
    with MemoryStore.create(path, MemoriaConfig(hidden_dim=4)) as store:
        for _ in range(3):
            store.step(np.ones((1, 2, 4), np.float32))
    np.save(tmp_path / "a.npy", np.ones((6, 4), np.float32))
    array = load_backbone("array")
    encode_inputs([tmp_path / "a.npy"], array, tmp_path / "o.npy", progress=True)
    recompute(path, progress=True)
    verify(path, progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    for bar in ("encoding: 100%", "replaying: 100%", "verifying: "):
        assert bar in err
