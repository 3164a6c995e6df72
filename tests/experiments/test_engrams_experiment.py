"""The paper's findings in lives that were made to show them, or not to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_tools import Cli
from experiment_tools import runs_here as runs_here

from memoria import MemoriaConfig
from memoria.analysis import Chronicle, open_chronicle
from memoria.errors import ConfigError
from memoria.experiments import find_experiment, inside, make_plan
from memoria.experiments.engrams.experiment import read_life
from memoria.experiments.engrams.findings import FINDINGS, curves, numbers, verdict
from memoria.experiments.reading import Passages, streamed
from memoria.experiments.variants import make_memoria
from memoria.store import MemoryStore

torch.set_num_threads(1)

SHORT: dict[str, Any] = {
    "steps": 60,
    "stm_capacity": 12,
    "num_reminded_stm": 4,
    "num_final_ltms": 4,
    "initial_lifespan": 6.0,
}


def store_of(path: Path, lanes: int = 1, steps: int = 40, seed: int = 0) -> Path:
    config = MemoriaConfig(
        hidden_dim=8,
        lanes=lanes,
        wm_length=3,
        num_reminded_stm=3,
        stm_capacity=9,
        num_final_ltms=4,
        initial_lifespan=5.0,
    )
    rng = np.random.default_rng(seed)
    with MemoryStore.create(path, config) as store:
        for _ in range(steps):
            store.step(rng.normal(0, 0.4, (lanes, 3, 8)).astype(np.float32))
    return path


def firings(chronicle: Chronicle) -> list[tuple[int, int]]:
    pairs = zip(chronicle.fired_steps.tolist(), chronicle.fired_ids.tolist(), strict=True)
    return sorted(pairs)


class Life:
    """A memory of one engram a step whose firings and deaths are what a test says."""

    def __init__(self, steps: int, gone: dict[int, int], fired: dict[int, list[int]]) -> None:
        from memoria.timeline.history import HistoryManager

        history = HistoryManager()
        for step in range(steps):
            who = np.array([step, *fired.get(step, [])])
            ids = np.array([step])
            expiry = np.array([float(gone.get(step, step + 1000))])
            history.record([who], ids, expiry, max(0, step - 2), step + 1)
        self.chronicle = Chronicle.of_history(history)


class TestNumbers:
    def test_primacy_and_recency_count_who_could_have_been_forgotten(self) -> None:
        # all that were made in the middle are forgotten two steps later; L is 2 for most of them
        gone = {step: step + 2 for step in range(10, 92)}
        found = numbers(Life(100, gone, {}).chronicle)
        assert found["primacy"] == pytest.approx(8 / 9, abs=0.15)
        assert found["recency"] is not None
        assert found["recency"] < found["primacy"]
        everybody = numbers(Life(100, {step: step + 2 for step in range(98)}, {}).chronicle)
        assert (everybody["primacy"], everybody["recency"]) == (0.0, 0.0)

    def test_engrams_that_fire_with_their_neighbours_are_contiguous(self) -> None:
        near = {step: [step - 1, step - 2] for step in range(2, 80)}
        far = {step: [0] for step in range(1, 80)}
        assert numbers(Life(80, {}, near).chronicle)["contiguity"] > 0.1
        assert numbers(Life(80, {}, far).chronicle)["contiguity"] < 0.1

    def test_what_fires_in_runs_is_autocorrelated(self) -> None:
        bursts = {10 + 60 * run + at: [1, 2, 3] for run in range(4) for at in range(20)}
        found = numbers(Life(200, {}, bursts).chronicle)
        assert found["autocorrelation"] > 0.3
        assert found["autocorrelation_decay"] > 0.5
        even = {step: [1, 2, 3] for step in range(10, 200, 20)}
        assert numbers(Life(200, {}, even).chronicle)["autocorrelation"] < 0.1

    def test_ageing_is_a_step_a_step_if_always_the_first_are_reminded(self) -> None:
        always = {step: [0, 1] for step in range(5, 100)}
        assert numbers(Life(100, {}, always).chronicle)["ageing"] == pytest.approx(1.0, abs=0.01)
        recent = {step: [step - 9] for step in range(12, 100)}
        assert numbers(Life(100, {}, recent).chronicle)["ageing"] == pytest.approx(0.0, abs=0.01)

    def test_a_short_life_tells_nothing(self) -> None:
        assert set(numbers(Life(5, {}, {}).chronicle).values()) == {None}

    def test_lanes_are_lives_of_their_own(self, tmp_path: Path) -> None:
        with open_chronicle(store_of(tmp_path / "two", lanes=2, steps=60)) as chronicle:
            found = numbers(chronicle)
            assert found["primacy"] is not None
            names = [curve.name for curve in curves(chronicle)]
        assert names == ["survival", "contiguity", "autocorrelation", "ageing"]


class TestVerdict:
    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ([], "cannot be told"),
            ([0.5], "cannot be told from one life, 1 of 1 at least 0.05 (share alive, first tenth"),
            ([-0.5, -0.4], "does not show, 0 of 2"),
            ([0.1, 0.12, 0.14], "shows, 3 of 3 at least 0.05 (share alive, first tenth less"),
            ([0.1, 0.2, 0.6], "cannot be told from chance, 3 of 3 at least 0.05"),
            ([0.1, -0.2, 0.3], "cannot be told from chance, 2 of 3"),
            ([0.02, 0.021, 0.022], "too small to count, 0 of 3"),
            ([0.1] * 6, "95 % interval +0.100 to +0.100"),
        ],
    )
    def test_in_plain_words(self, values: list[float], says: str) -> None:
        assert says in verdict(FINDINGS[0], values)


class TestRuns:
    def test_a_fresh_life_is_that_of_a_store(self, tmp_path: Path) -> None:
        """The same text read by a store leaves the same life."""
        rows = np.random.default_rng(0).normal(0, 0.4, (200, 12)).astype(np.float32)
        passages = Passages(rows, [None] * 200, None)
        stream = streamed(passages, width=4, steps=40, chapter=10, unseen=0.0, seed=0)
        config = MemoriaConfig(
            hidden_dim=12,
            wm_length=4,
            initial_lifespan=6.0,
            num_reminded_stm=3,
            num_final_ltms=4,
            stm_capacity=9,
        )
        lived = read_life(config, "memoria", passages, stream)
        with MemoryStore.create(tmp_path / "store", config) as store:
            for chosen in stream.read:
                store.step(passages.vectors[chosen])
        with open_chronicle(tmp_path / "store") as kept:
            assert lived.gone.tolist() == kept.gone.tolist()
            assert firings(lived) == firings(kept)
            assert numbers(lived) == pytest.approx(numbers(kept))

    def test_variants_with_their_plot_and_words(self, tmp_path: Path) -> None:
        settings = {**SHORT, "models": ["memoria", "memoria-random"], "seeds": [0, 1]}
        records = inside(make_plan("engrams", settings=settings).specs(tmp_path))
        assert [one.error for one in records] == [None] * 4
        experiment = find_experiment("engrams")
        told = experiment.tell(records)
        assert len(told) == 2 * len(FINDINGS)
        assert told[0].startswith("memoria: engrams made first")
        (plot,) = experiment.draw(records, tmp_path)
        assert plot.read_bytes()[:4] == b"\x89PNG"
        assert records[0].arrays()["survival_y"].shape == records[0].arrays()["survival_x"].shape
        again = inside(make_plan("engrams", settings=settings).specs(tmp_path / "again"))
        assert [one.metrics for one in again] == [one.metrics for one in records]

    @pytest.mark.usefixtures("runs_here")
    def test_stores_by_the_command_line(self, tmp_path: Path, cli: Cli) -> None:
        one, two = (store_of(tmp_path / f"s{seed}", seed=seed) for seed in (0, 1))
        document = cli(
            "experiment",
            "run",
            "engrams",
            "--set",
            f"store={one},{two}@30",
            "-o",
            tmp_path / "out",
            "--json",
        ).json
        assert [(run["model"], run["seed"], run["status"]) for run in document["runs"]] == [
            ("store", 0, "done"),
            ("store", 1, "done"),
        ]
        assert [run["summary"]["steps"] for run in document["runs"]] == [40, 30]
        assert len(document["findings"]) == len(FINDINGS)
        assert json.dumps(document, allow_nan=False)

    def test_the_life_of_a_models_memory(self, tmp_path: Path) -> None:
        memory = make_memoria(
            "memoria",
            keep_history=True,
            **{name: SHORT[name] for name in SHORT if name != "steps"},
            ltm_search_depth=3,
        )
        rng = torch.Generator().manual_seed(0)
        for _ in range(60):
            memory.add_working_memory(torch.randn(2, 3, 8, generator=rng) * 0.4)
            _, indices = memory.remind()
            memory.adjust_lifespan_and_memories(indices, torch.full(indices.shape, 2.0))
        assert memory.history is not None
        memory.history[1].save(tmp_path / "lane.npz")
        settings = {"store": [str(tmp_path / "lane.npz")]}
        (record,) = inside(make_plan("engrams", settings=settings).specs(tmp_path / "out"))
        assert record.error is None
        assert (record.metrics["steps"], record.metrics["lanes"]) == (60, 1)
        assert record.metrics["ageing"] is not None

    @pytest.mark.parametrize(
        ("settings", "says"),
        [
            ({"store": ["a"], "models": ["memoria"]}, "'store'"),
            ({"models": ["store"]}, "memoria-..."),
            ({"models": ["none"]}, "unknown here"),
            ({"store": ["a", "b"], "seeds": [0, 2]}, "there are 2 stores"),
        ],
    )
    def test_models_and_stores_belong_together(self, settings: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigError, match=says):
            make_plan("engrams", settings=settings)

    def test_a_store_that_is_not_there(self, tmp_path: Path) -> None:
        (record,) = inside(
            make_plan("engrams", settings={"store": [str(tmp_path / "no")]}).specs(tmp_path / "o")
        )
        assert record.status == "failed"
        assert "no" in str(record.error)
