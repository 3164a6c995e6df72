"""Sweeps: the points of a file, the runs they make, and who does them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Cli, process
from experiment_tools import runs_here as runs_here
from experiment_tools import toy as toy
from fake_ray import FakeRay
from fake_ray import fake as fake
from hypothesis import given
from hypothesis import strategies as st

from memoria.engines.cluster import Resources
from memoria.errors import ConfigError, MissingExtraError
from memoria.experiments import Metric, RunRecord, swept
from memoria.experiments.ray_engine import on_ray, packed, unpacked
from memoria.experiments.report import read_report
from memoria.experiments.sweep import (
    SweepTable,
    folder_name,
    label,
    nested,
    parse_grid,
    read_sweep,
    sweep_runs,
)
from memoria.experiments.swept import swept_settings

pytestmark = pytest.mark.usefixtures("toy")

FILE = """
experiment = "toy"
[config]
models = ["plus"]
seeds = [0, 1]
[sweep.grid]
steps = [2, 3]
options = [[1.0], [2.0, 3.0]]
"""


def written(folder: Path, text: str = FILE) -> Path:
    path = folder / "sweep.toml"
    path.write_text(text)
    return path


class TestPoints:
    def test_a_grid_is_every_combination(self) -> None:
        table = SweepTable(grid={"a": [1, 2], "b": ["x", "y", "z"]})
        assert table.points() == [{"a": a, "b": b} for a in (1, 2) for b in "xyz"]

    def test_a_value_that_stands_there_twice_is_tried_once(self) -> None:
        assert SweepTable(grid={"a": [1, 2, 1]}).points() == [{"a": 1}, {"a": 2}]

    @given(st.integers(0, 1000), st.integers(1, 20), st.integers(1, 20))
    def test_more_trials_keep_the_earlier_ones(self, seed: int, few: int, more: int) -> None:
        draws = {"a": {"log": [1e-5, 1.0]}, "b": {"int": [1, 100]}}
        some = SweepTable(random=draws, trials=few, seed=seed).points()
        many = SweepTable(random=draws, trials=few + more, seed=seed).points()
        assert many[: len(some)] == some
        alone = SweepTable(random={"b": draws["b"]}, trials=few, seed=seed).points()
        assert [p["b"] for p in alone] == list(dict.fromkeys(p["b"] for p in some))

    @given(st.integers(0, 10**6))
    def test_draws_stay_between_their_ends(self, seed: int) -> None:
        draws = {
            "a": {"log": [1e-4, 1e-2]},
            "b": {"uniform": [-1.0, 2.0]},
            "c": {"int": [3, 4]},
            "d": {"choice": ["x", 7]},
        }
        for point in SweepTable(random=draws, trials=5, seed=seed).points():
            assert 1e-4 <= point["a"] <= 1e-2
            assert -1 <= point["b"] <= 2
            assert point["c"] in (3, 4)
            assert point["d"] in ("x", 7)

    def test_seeds_differ(self) -> None:
        one, other = (
            SweepTable(random={"a": {"uniform": [0, 1]}}, seed=s).points() for s in (0, 1)
        )
        assert one != other

    @pytest.mark.parametrize(
        ("table", "says"),
        [
            ({}, "names no settings"),
            ({"grid": {"a": []}}, "at least 1"),
            ({"grid": {"models": ["x"]}}, "models is not swept"),
            ({"grid": {"a": [1]}, "random": {"a": {"int": [1, 2]}}}, "in the grid and drawn"),
            ({"grid": {"a": list(range(101)), "b": list(range(100))}}, "more than 10000"),
            ({"random": {"a": {"int": [2, 1]}}}, "smaller end"),
            ({"random": {"a": {"log": [0, 1]}}}, "above 0"),
            ({"random": {"a": {}}}, "one of uniform"),
            ({"random": {"a": {"int": [1, 2], "choice": [1]}}}, "one of uniform"),
            ({"grid": {"a": [1]}, "gpus": -1}, "gpus"),
            ({"grid": {"a": [1]}, "gpu": 1}, "gpu"),
            ({"grid": {"a b": [1]}}, "grid"),
            ({"grid": 3}, "grid"),
        ],
    )
    def test_a_wrong_table_is_one_line(self, table: dict[str, Any], says: str) -> None:
        with pytest.raises(ConfigError) as caught:
            SweepTable(**table)
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_keys_with_dots_are_tables(self) -> None:
        assert nested({"a.b": 1, "a.c": 2, "d": 3}) == {"a": {"b": 1, "c": 2}, "d": 3}
        for point in ({"a": 1, "a.b": 2}, {"a.b": 2, "a": 1}):
            with pytest.raises(ConfigError, match="given"):
                nested(point)

    def test_names_for_people_and_for_folders(self) -> None:
        point = {"settings.memoria.depth": 3, "rate": 0.001}
        assert label(point) == "depth=3 rate=0.001"
        assert label({"a.x": 1, "b.x": 2}) == "a.x=1 b.x=2"
        assert folder_name(point) == "settings.memoria.depth=3,rate=0.001"

    @given(
        st.lists(
            st.dictionaries(
                st.sampled_from(["a", "b.c", "d"]), st.text() | st.integers(), min_size=1
            ),
            min_size=2,
            max_size=6,
        )
    )
    def test_folders_are_safe_and_tell_points_apart(self, points: list[dict[str, Any]]) -> None:
        for point in points:
            name = folder_name(point)
            assert name == Path(name).name
            assert len(name) <= 90
            assert not name.startswith((".", "-"))
        different = {json.dumps(point, sort_keys=True) for point in points}
        by_order = {json.dumps(point) for point in points}
        assert len(different) <= len({folder_name(point) for point in points}) <= len(by_order)


class TestFiles:
    def test_points_times_variants_times_seeds(self, tmp_path: Path) -> None:
        sweep = read_sweep(written(tmp_path))
        specs = sweep.specs(tmp_path / "out")
        assert len(specs) == 2 * 2 * 2
        assert specs[0].name == "plus steps=2 options=[1.0]"
        assert (
            specs[0].path == tmp_path / "out" / "steps=2,options=_1.0_-" / "plus-0"
            or specs[0].path.name == "plus-0"
        )
        assert len({spec.path for spec in specs}) == len(specs)
        assert {tuple(spec.config.options) for spec in specs} == {(1.0,), (2.0, 3.0)}

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ('experiment = "toy"', "no table [sweep]"),
            (FILE + "[other]\na = 1\n", "'other' is unknown"),
            (FILE.replace("steps", "stairs"), "stairs"),
            (FILE.replace("[2, 3]", "[2, 0]"), "steps=0"),
            (FILE.replace("toy", "toys"), "unknown"),
            ("sweep = 3\n" + FILE.replace("[sweep.grid]", "[x]"), "[sweep]"),
            ("experiment = ", "not TOML"),
        ],
    )
    def test_a_wrong_file_is_one_line(
        self,
        tmp_path: Path,
        cli: Cli,
        text: str,
        says: str,
    ) -> None:
        ran = cli("experiment", "sweep", written(tmp_path, text), "-o", tmp_path / "out")
        assert ran.code == 2
        assert says in ran.err
        assert ran.err.count("\n") == 1
        assert not (tmp_path / "out").exists()

    def test_a_dry_run_does_nothing(self, tmp_path: Path, cli: Cli) -> None:
        file, out = written(tmp_path), tmp_path / "out"
        document = cli.ok("experiment", "sweep", file, "-o", out, "--dry-run", "--json").json
        assert (len(document["points"]), len(document["runs"])) == (4, 8)
        assert document["dry_run"] is True
        shown = cli.ok("experiment", "sweep", file, "-o", out, "--dry-run").out
        assert "4 points, 8 runs" in shown
        assert not out.exists()


class TestGrid:
    def test_values_by_commas(self) -> None:
        found = parse_grid(["length=512,1024", "a.b = x, 2.5"])
        assert found == {"length": [512, 1024], "a.b": ["x", 2.5]}
        for wrong in (["length"], ["length="], ["=1"], ["a=1", "a=2"]):
            with pytest.raises(ConfigError, match="grid"):
                parse_grid(wrong)

    @pytest.mark.usefixtures("runs_here")
    def test_one_command_draws_a_metric_against_the_value(self, tmp_path: Path, cli: Cli) -> None:
        line = ["experiment", "sweep", "toy", "--grid", "steps=2,16", "--seeds", "1", "-q"]
        told = cli.ok(*line, "-o", tmp_path / "out", "--json").json
        assert [one["variant"] for one in told["table"]][:2] == ["plus steps=16", "plus steps=2"]
        assert told["plots"] == [str(tmp_path / "out" / "by-steps.png")]
        assert Path(told["plots"][0]).read_bytes().startswith(b"\x89PNG")
        (report,) = read_report(tmp_path / "out").experiments
        pairs = [(one["against"], one["variant"]) for one in report.comparisons]
        assert pairs == [(f"plus steps={n}", f"minus steps={n}") for n in (16, 2)]

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            (["toy"], "toy: nothing to vary; hint: such as --grid length=512,1024"),
            (["toy", "--grid", "stepz=1,2"], "[sweep]: stepz=1: stepz = 1: no such setting"),
            (["sweep.toml", "--grid", "steps=1,2"], "sweep.toml has its own"),
        ],
    )
    def test_what_is_wrong_is_one_line(
        self, line: list[str], says: str, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(written(tmp_path).parent)
        ran = cli("experiment", "sweep", *line)
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert says in ran.err


class TestSwept:
    def record(self, variant: str, seed: int, value: float, **config: Any) -> RunRecord:
        document = {"experiment": "toy", "variant": variant, "seed": seed, "status": "done"}
        summary = {"metrics": {"total": value}}
        return RunRecord.of({**document, "config": config}, Path("x"), summary)

    def test_a_line_for_each_variant_and_other_setting(self) -> None:
        runs = [
            self.record(
                f"a depth={depth}",
                seed,
                depth + seed,
                length=length,
                settings={"a": {"depth": depth}},
            )
            for depth in (2, 8)
            for length in (10, 20)
            for seed in (0, 1)
        ]
        assert swept_settings(runs) == ["length", "settings.a.depth"]
        lines = swept._lines(runs, "settings.a.depth", Metric("total", "total"))
        assert lines == {
            "a length=10": [([2, 8], [2.0, 8.0]), ([2, 8], [3.0, 9.0])],
            "a length=20": [([2, 8], [2.0, 8.0]), ([2, 8], [3.0, 9.0])],
        }


class TestLocal:
    @pytest.mark.slow
    def test_all_runs_are_done_once(self, tmp_path: Path) -> None:
        text = FILE.replace("options = [[1.0], [2.0, 3.0]]\n", "")
        file, out = written(tmp_path, text), tmp_path / "out"
        ran = process("experiment", "sweep", file, "-o", out, "-j", 2, "--json")
        assert ran.code == 0, ran.err
        document = ran.json
        assert [one["status"] for one in document["runs"]] == ["done"] * 4
        assert [row["variant"] for row in document["table"]] == ["plus steps=3", "plus steps=2"]
        assert document["table"][0]["metrics"]["total"]["mean"] == 4.5
        before = {path: path.stat().st_mtime_ns for path in out.rglob("summary.json")}
        wider = written(tmp_path, text.replace("[2, 3]", "[2, 3, 4]"))
        again = process("experiment", "sweep", wider, "-o", out, "--json").json
        assert len(again["runs"]) == 6
        after = {path: path.stat().st_mtime_ns for path in out.rglob("summary.json")}
        assert before.items() <= after.items()
        assert len(after) == 6

    @pytest.mark.usefixtures("runs_here")
    def test_a_failed_run_is_tried_again(self, tmp_path: Path) -> None:
        text = FILE.replace('["plus"]', '["flaky"]').replace("[[1.0], [2.0, 3.0]]", "[[1.0]]")
        sweep = read_sweep(written(tmp_path, text), settings={"seeds": [0]})
        once = sweep_runs(sweep.specs(tmp_path / "once"))
        assert [one.status for one in once] == ["failed", "failed"]
        assert "not yet" in str(once[0].error)
        twice = sweep_runs(sweep.specs(tmp_path / "twice"), retries=2)
        assert [one.status for one in twice] == ["done", "done"]
        assert twice[0].document["attempts"] == 2

    @pytest.mark.usefixtures("runs_here")
    def test_a_failure_is_told(self, tmp_path: Path, cli: Cli) -> None:
        text = FILE.replace('["plus"]', '["plus", "equals"]').replace("[2, 3]", "[2]")
        ran = cli(
            "experiment",
            "sweep",
            written(tmp_path, text),
            "-o",
            tmp_path / "out",
            "--seeds",
            "1",
            "--json",
        )
        assert ran.code == 1
        assert (
            sorted(one["status"] for one in ran.json["runs"]) == ["done", "done"] + ["failed"] * 2
        )
        assert "no such sign: equals" in ran.err

    def test_an_unknown_engine(self, tmp_path: Path, cli: Cli) -> None:
        ran = cli(
            "experiment", "sweep", written(tmp_path), "--engine", "horse", "-o", tmp_path / "o"
        )
        assert ran.code == 2
        assert "choose one of local, ray" in ran.err


class TestRay:
    def specs(self, tmp_path: Path, models: str = '["plus"]') -> Any:
        text = FILE.replace('["plus"]', models).replace("[[1.0], [2.0, 3.0]]", "[[1.0]]")
        return read_sweep(written(tmp_path, text)).specs(tmp_path / "out")

    def test_one_task_a_run_in_the_runs_folder(
        self,
        tmp_path: Path,
        fake: FakeRay,
    ) -> None:
        specs, heard = self.specs(tmp_path), []
        records = sweep_runs(
            specs,
            engine="ray",
            jobs=2,
            cpus=0.5,
            progress=lambda done, total: heard.append((done, total)),
        )
        assert [one.status for one in records] == ["done"] * 4
        assert [one.seed for one in records] == [0, 1, 0, 1]
        assert fake.options == {"num_cpus": 0.5, "num_gpus": 0.0, "max_retries": 0}
        assert fake.settings["num_cpus"] == 2
        assert len(fake.started) == 4
        assert heard[-1] == (4, 4)
        assert list((tmp_path / "out").rglob(".sweep-*")) == []
        sweep_runs(specs, engine="ray")
        assert len(fake.started) == 4  # what is done is only read

    def test_where_the_folder_is_not_seen_it_travels(
        self,
        tmp_path: Path,
        fake: FakeRay,
    ) -> None:
        specs = self.specs(tmp_path, '["plus", "flaky"]')
        with on_ray(Resources(), shared=False) as engine:
            records = engine(specs, lambda done, total: None)
            assert [one.status for one in records] == ["done", "failed"] * 4
            failed = [one for one in records if one.status == "failed"]
            assert (failed[0].path / "checkpoint.pt").is_file()
            assert not (records[0].path / "checkpoint.pt").exists()
            assert RunRecord.read(records[0].path).metrics == {"total": 2.0}
            again = engine(specs, lambda done, total: None)
        assert [one.status for one in again] == ["done"] * 8
        assert again[1].document["attempts"] == 2
        assert len(fake.started) == 12

    def test_a_lost_worker_is_a_failed_run_and_tried_again(
        self,
        tmp_path: Path,
        fake: FakeRay,
    ) -> None:
        fake.lose = 1
        records = sweep_runs(self.specs(tmp_path), engine="ray", retries=1)
        assert [one.status for one in records] == ["done"] * 4
        fake.lose = 1
        (tmp_path / "b").mkdir()
        records = sweep_runs(self.specs(tmp_path / "b"), engine="ray")
        assert sorted(one.status for one in records) == ["done"] * 3 + ["failed"]

    def test_more_than_any_node_has_is_refused(self, tmp_path: Path, fake: FakeRay) -> None:
        with pytest.raises(ConfigError, match="gpus = 1"):
            sweep_runs(self.specs(tmp_path), engine="ray", gpus=1)

    def test_without_the_extra(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.setitem(sys.modules, "ray", None)
        with pytest.raises(MissingExtraError, match="sweep"):
            sweep_runs(self.specs(tmp_path), engine="ray")

    def test_what_travels(self, tmp_path: Path) -> None:
        here, there = tmp_path / "a", tmp_path / "b"
        (here / "inner").mkdir(parents=True)
        (here / "inner" / "x").write_bytes(b"1")
        (here / "checkpoint.pt").write_bytes(b"2")
        (here / "link").symlink_to("/etc/hostname")
        assert packed(here) == {"inner/x": b"1", "checkpoint.pt": b"2"}
        assert packed(here, checkpoint=False) == {"inner/x": b"1"}
        unpacked(packed(here), there)
        assert packed(there) == packed(here)
        for name in ("../x", "/tmp/x"):
            with pytest.raises(ConfigError, match="leads out"):
                unpacked({name: b""}, there)

    @pytest.mark.slow
    def test_two_real_workers(self, tmp_path: Path) -> None:
        """As a process of its own: Ray leaves threads behind."""
        text = FILE.replace('["plus"]', '["plus", "flaky", "dead"]').replace("[2, 3]", "[2]")
        file, out = (
            written(tmp_path, text.replace("[[1.0], [2.0, 3.0]]", "[[1.0]]")),
            tmp_path / "o",
        )
        ran = process(
            "experiment",
            "sweep",
            file,
            "-o",
            out,
            "-j",
            2,
            "--engine",
            "ray",
            "--retries",
            1,
            "--json",
            variables={"RAY_ADDRESS": ""},
        )
        assert ran.code == 1, ran.err
        runs = ran.json["runs"]
        status = {(one["variant"].split()[0], one["seed"]): one["status"] for one in runs}
        assert status == {
            ("plus", 0): "done",
            ("plus", 1): "done",
            ("flaky", 0): "done",
            ("flaky", 1): "done",
            ("dead", 0): "failed",
            ("dead", 1): "failed",
        }
        local = process(
            "experiment", "sweep", file, "-o", tmp_path / "l", "-j", 2, "--retries", 1, "--json"
        ).json["runs"]
        assert [one["summary"] for one in local] == [one["summary"] for one in runs]
