"""Runs of experiments: their folders, their processes, and how they go on."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import Cli, command_line, environment
from cli_tools import process as cli_process
from experiment_tools import start, toy, wait_for, wait_until  # noqa: F401 (toy is a fixture)

from memoria.errors import ConfigError, DamageError, InputError, StoreLockedError
from memoria.experiments import (
    EXPERIMENTS,
    ExperimentConfig,
    Run,
    RunRecord,
    RunSpec,
    compare,
    execute,
    find_experiment,
    local,
    make_plan,
    parse_seeds,
    parse_settings,
    read_plan,
    run_folders,
)
from memoria.experiments.engines import default_jobs

pytestmark = pytest.mark.usefixtures("toy")


def specs_of(folder: Path, **settings: Any) -> list[RunSpec]:
    return make_plan("toy", "small", settings).specs(folder)


def contents(record: RunRecord) -> tuple[Any, ...]:
    return record.status, dict(record.metrics), list(record.rows())


class TestSettings:
    def test_values_are_those_of_toml_or_text(self) -> None:
        given = ["steps=3", "wait=some/file", 'models=["a"]', "x=true", "y = 1e-3", "z=a=b"]
        assert parse_settings(given) == {
            "steps": 3,
            "wait": "some/file",
            "models": ["a"],
            "x": True,
            "y": 1e-3,
            "z": "a=b",
        }

    @pytest.mark.parametrize("text", ["steps", "=3", ""])
    def test_what_is_no_setting(self, text: str) -> None:
        with pytest.raises(ConfigError, match="not KEY=VALUE"):
            parse_settings([text])

    def test_lists_may_be_written_with_commas(self) -> None:
        values = parse_settings(["models=plus,minus", "options=1,2.5", "seeds=4"])
        config = make_plan("toy", "small", values).config
        assert (config.models, config.seeds) == (["plus", "minus"], [4])
        assert config.model_dump()["options"] == [1.0, 2.5]

    @pytest.mark.parametrize(
        ("text", "seeds"), [("3", [0, 1, 2]), ("0,7", [0, 7]), ("4,", [4]), ("1", [0])]
    )
    def test_seeds(self, text: str, seeds: list[int]) -> None:
        assert parse_seeds(text) == seeds

    @pytest.mark.parametrize("text", ["", "0", "-1", "a", "1,b", ",", "1001"])
    def test_what_are_no_seeds(self, text: str) -> None:
        with pytest.raises(ConfigError, match="neither a count nor a list"):
            parse_seeds(text)

    @pytest.mark.parametrize(
        ("setting", "says"),
        [
            ("steps=0", "steps = 0: input should be greater than or equal to 1"),
            ("steps=x", "steps = 'x'"),
            (
                "stepz=3",
                "stepz = 3: no such setting; did you mean steps? the settings are models, seeds",
            ),
            ("models=a/b", "models = 'a/b'"),
            ("models=..", "models = '..'"),
            ("seeds=-1", "seeds = -1"),
            ("seeds=1,1", "twice"),
            ("models=a,a", "twice"),
        ],
    )
    def test_a_wrong_setting_is_one_line(self, setting: str, says: str) -> None:
        with pytest.raises(ConfigError) as caught:
            make_plan("toy", "small", parse_settings([setting]))
        assert says in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_presets(self) -> None:
        assert make_plan("toy", "paper").config.model_dump()["steps"] == 50
        with pytest.raises(ConfigError, match="choose one of small, paper"):
            make_plan("toy", "big")

    def test_every_field_is_described(self) -> None:
        for experiment in EXPERIMENTS.values():
            assert experiment.metrics
            assert experiment.summary.endswith(".")
            for name, field in experiment.Config.model_fields.items():
                assert field.description, (experiment.name, name)
            for preset in ("small", "paper"):
                assert isinstance(experiment.Config.preset(preset), ExperimentConfig)

    @pytest.mark.parametrize(
        ("name", "setting", "says"),
        [
            ("sorting", "settings.memoria.ltm_search_depth=5", "did you mean depth? the settings"),
            ("sorting", "settings.titans.rate=-1", "settings.titans.rate = -1: input should be"),
            ("sorting", "settings.memora.depth=5", "no model 'memora'; did you mean memoria?"),
            (
                "lm",
                "models=memoria,gated-dalta",
                "no model 'gated-dalta'; did you mean gated-delta",
            ),
            ("farrecall", "inner=2", "inner = 2: MemoriaTransformer has more parameters"),
            ("sorting", "hidden=60", "hidden = 60: must be a multiple of"),
            ("lm", "data=nowhere", "data = 'nowhere': no such file; hint: known by name are pydoc"),
            ("lm", "data=here,nowhere", "data = 'here': no such file"),
            ("classification", "data=nowhere", "known by name are pydoc, hyperpartisan"),
            ("recall", "data=nowhere", "nowhere': no such file"),
            ("evidence", "data=nowhere", "data = 'nowhere': no such file"),
            ("engrams", "store=nowhere", "nowhere': no such file"),
            ("engrams", "models=memora", "model 'memora' is unknown here"),
            ("recall", "models=memora", "policy 'memora' is unknown"),
        ],
    )
    def test_what_would_end_every_run_ends_the_command(
        self,
        name: str,
        setting: str,
        says: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        ran = Cli(capsys)("experiment", "run", name, "--set", setting, "-o", "runs")
        assert (ran.code, ran.err.count("\n")) == (2, 1)
        assert says in ran.err
        assert not (tmp_path / "runs").exists()

    def test_a_sweep_is_checked_at_every_point(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "depths.toml"
        file.write_text('experiment="sorting"\n[sweep.grid]\n"settings.memoria.dept"=[2, 3]\n')
        ran = Cli(capsys)("experiment", "sweep", file, "--dry-run")
        assert ran.code == 2
        assert "[sweep]: dept=2: settings.memoria.dept = 2: no such setting" in ran.err
        assert "did you mean depth?" in ran.err

    def test_settings_that_descriptions_name_are_keys(self) -> None:
        named = []
        for name, experiment in EXPERIMENTS.items():
            for field in experiment.Config.model_fields.values():
                for model, key in re.findall(
                    r"settings\.([a-z]\S*?)\.([a-z]\w*)=", field.description
                ):
                    named.append((name, model))
                    config = experiment.Config.preset("small", settings={model: {key: 5}})
                    experiment.check(config)
        assert ("sorting", "memoria") in named

    def test_presets_pass_the_check(self) -> None:
        for experiment in EXPERIMENTS.values():
            for preset in experiment.Config.presets:
                config = experiment.Config.preset(preset)
                if "equal_parameters" in type(config).model_fields and preset != "small":
                    config = config.replace(equal_parameters=False)  # large ones take seconds
                experiment.check(config)

    def test_an_unknown_experiment_lists_the_known(self) -> None:
        with pytest.raises(ConfigError, match=r"'toi': unknown; known are .*toy"):
            find_experiment("toi")


class TestOneRun:
    def test_what_the_folder_holds(self, tmp_path: Path) -> None:
        (spec, _, _, _, _, _) = specs_of(tmp_path / "out")
        record = execute(spec)
        assert spec.path.name == "plus-0"
        assert record.metrics == {"total": 5.0}
        assert [row["total"] for row in record.rows()] == [1, 2, 3, 4, 5]
        np.testing.assert_array_equal(record.arrays()["total"], np.float32([5]))
        document = json.loads((spec.path / "run.json").read_text())
        assert document["status"] == "done"
        assert document["config"]["models"] == ["plus"]
        assert document["versions"]["torch"]
        assert document["attempts"] == 1
        assert list((spec.path / "tensorboard").iterdir())
        assert run_folders(tmp_path / "out") == [spec.path] == run_folders(spec.path)

    def test_what_is_done_is_not_done_again(self, tmp_path: Path) -> None:
        spec = specs_of(tmp_path)[0]
        execute(spec)
        before = (spec.path / "run.json").read_bytes()
        assert execute(spec).metrics == {"total": 5.0}
        assert (spec.path / "run.json").read_bytes() == before

    def test_another_configuration_is_refused(self, tmp_path: Path) -> None:
        execute(specs_of(tmp_path)[0])
        with pytest.raises(ConfigError, match="steps = 5, asked for 6"):
            execute(specs_of(tmp_path, steps=6)[0])
        assert execute(specs_of(tmp_path, device="cpu")[0]).status == "done"

    def test_it_stops_at_a_step_and_goes_on(self, tmp_path: Path) -> None:
        whole = execute(specs_of(tmp_path / "whole")[0])
        spec, asked = specs_of(tmp_path / "broken")[0], iter([False, False, True])
        with pytest.raises(KeyboardInterrupt):
            execute(spec, stopping=lambda: next(asked))
        assert RunRecord.read(spec.path).status == "interrupted"
        record = execute(spec)
        assert contents(record) == contents(whole)
        assert record.document["attempts"] == 2

    def test_rows_after_the_checkpoint_are_dropped(self, tmp_path: Path) -> None:
        spec, asked = specs_of(tmp_path)[0], iter([False, True])
        with pytest.raises(KeyboardInterrupt):
            execute(spec, stopping=lambda: next(asked))
        with open(spec.path / "results.jsonl", "ab") as file:
            file.write(b'{"kind": "validation", "step": 3, "total": 3.0}\n{"kind": "val')
        assert [row["step"] for row in RunRecord.read(spec.path).rows()] == [1, 2, 3]
        assert [row["step"] for row in execute(spec).rows()] == [1, 2, 3, 4, 5]

    def test_an_error_is_recorded_and_raised(self, tmp_path: Path) -> None:
        spec = specs_of(tmp_path, models=["times"])[0]
        with pytest.raises(InputError, match="no such sign"):
            execute(spec)
        record = RunRecord.read(spec.path)
        assert (record.status, record.error) == ("failed", "no such sign: times")

    def test_a_damaged_checkpoint_is_one_line(self, tmp_path: Path) -> None:
        spec = specs_of(tmp_path)[0]
        with pytest.raises(KeyboardInterrupt):
            execute(spec, stopping=lambda: True)
        (spec.path / "checkpoint.pt").write_bytes(b"nonsense")
        with pytest.raises(DamageError, match="remove it") as caught:
            execute(spec)
        assert "\n" not in str(caught.value)

    def test_a_checkpoint_runs_no_code(self, tmp_path: Path) -> None:
        import pickle

        class Trap:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.mkdir, (str(tmp_path / "trapped"),)

        spec = specs_of(tmp_path)[0]
        spec.path.mkdir(parents=True)
        (spec.path / "checkpoint.pt").write_bytes(pickle.dumps(Trap(), 2))
        with pytest.raises(DamageError):
            execute(spec)
        assert not (tmp_path / "trapped").exists()

    def test_one_process_at_a_time(self, tmp_path: Path) -> None:
        spec = specs_of(tmp_path)[0]
        about = {"experiment": "toy", "variant": "plus", "seed": 0, "config": {}}
        with Run(spec.path, about) as run:
            run.begin({})
            assert RunRecord.read(spec.path).status == "running"
            with pytest.raises(StoreLockedError):
                execute(spec)
        assert RunRecord.read(spec.path).status == "interrupted"

    def test_what_json_has_no_word_for(self, tmp_path: Path) -> None:
        about = {"experiment": "toy", "variant": "plus", "seed": 0, "config": {}}
        with Run(tmp_path / "run", about) as run:
            run.begin({})
            run.log({"a": float("nan"), "b": [np.float32(1), np.int64(2)], "c": {1: float("inf")}})
            run.finish({"loss": float("nan")})
        record = RunRecord.read(tmp_path / "run")
        assert list(record.rows()) == [{"a": None, "b": [1.0, 2], "c": {"1": None}}]
        assert record.metrics == {"loss": None}

    def test_only_the_first_of_several_processes_writes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RANK", "1")
        record = execute(specs_of(tmp_path / "out")[0])
        assert record.metrics == {"total": 5.0}
        assert not (tmp_path / "out").exists()


class TestProcesses:
    def test_many_runs(self, tmp_path: Path) -> None:
        specs, told = specs_of(tmp_path, seeds=[0, 1]), []
        records = local(specs, 2, lambda done, total: told.append((done, total)))
        assert [(one.variant, one.seed) for one in records] == [
            ("plus", 0),
            ("minus", 0),
            ("plus", 1),
            ("minus", 1),
        ]
        assert [one.metrics["total"] for one in records] == [5, -5, 10, -10]
        assert told[-1] == (400, 400)
        assert [done for done, _ in told] == sorted(done for done, _ in told)

    def test_what_fails_or_dies_does_not_keep_the_others(self, tmp_path: Path) -> None:
        specs = specs_of(tmp_path, models=["dead", "times", "plus"], seeds=[0])
        dead, times, plus = local(specs, 1)
        assert (dead.status, times.status, plus.status) == ("failed", "failed", "done")
        assert "SIGKILL" in str(dead.error)
        assert times.error == "no such sign: times"
        assert "InputError" in (times.path / "log.txt").read_text()

    def test_a_killed_process_goes_on(self, tmp_path: Path) -> None:
        whole = execute(specs_of(tmp_path / "whole", models=["plus"], seeds=[0])[0])
        gate = tmp_path / "gate"
        spec = specs_of(tmp_path / "broken", models=["plus"], seeds=[0], wait=str(gate))[0]
        process = start(spec)
        wait_for(lambda: len(list(RunRecord.read(spec.path).rows())) == 3, spec)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert RunRecord.read(spec.path).status == "interrupted"
        gate.touch()
        assert contents(local([spec])[0]) == contents(whole)

    def test_sigterm_leaves_a_checkpoint(self, tmp_path: Path) -> None:
        spec = specs_of(tmp_path, models=["plus"], seeds=[0], wait=str(tmp_path / "never"))[0]
        process = start(spec)
        wait_for(lambda: len(list(RunRecord.read(spec.path).rows())) == 3, spec)
        process.terminate()
        assert process.wait() == 130
        assert RunRecord.read(spec.path).status == "interrupted"
        assert (spec.path / "checkpoint.pt").is_file()


class TestPlans:
    def test_a_folder_belongs_to_one_experiment(self, tmp_path: Path) -> None:
        folder = tmp_path / "out"
        make_plan("toy").claim(folder)
        make_plan("toy", settings={"models": ["plus", "other"], "seeds": [7]}).claim(folder)
        held = json.loads((folder / "experiment.json").read_text())
        assert held["variants"] == ["plus", "minus", "other"]
        assert held["seeds"] == [0, 1, 2, 7]
        with pytest.raises(ConfigError, match="steps = 5, asked for 9; name another folder: -o"):
            make_plan("toy", settings={"steps": 9}).claim(folder)
        assert json.loads((folder / "experiment.json").read_text()) == held

    def test_other_folders_are_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "letter.txt").write_text("Dear")
        with pytest.raises(ConfigError, match="not empty"):
            make_plan("toy").claim(tmp_path)
        assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["letter.txt"]

    def test_a_file_names_variants(self, tmp_path: Path) -> None:
        file = tmp_path / "own.toml"
        file.write_text(
            'experiment = "toy"\npreset = "paper"\n[config]\nseeds = [3]\n'
            '[variants.short]\nsteps = 2\n[variants.back]\nmodels = ["minus"]\n[grid]\nx = [1]\n'
        )
        plan = read_plan(file)
        assert plan.rest == {"grid": {"x": [1]}}
        short, back = plan.specs(tmp_path / "out")
        assert (short.name, short.path.name, short.config.model) == ("short", "short-3", "plus")
        assert (back.name, back.config.model) == ("back", "minus")
        assert short.config.model_dump()["steps"] == 2
        assert back.config.model_dump()["steps"] == 50
        other = read_plan(file, "small", {"seeds": [1, 2]})
        assert len(other.specs(tmp_path)) == 4
        assert RunSpec.of(json.loads(json.dumps(short.document()))) == short

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "names no experiment"),
            ("experiment = 3", "names no experiment"),
            ('experiment = "toy"\npreset = 1', "preset is a name"),
            ('experiment = "toy"\nconfig = 1', "tables"),
            ('experiment = "toy"\n[config]\nx = 1', "no such setting"),
            ('experiment = "toy"\n[variants."../x"]\n', "variant '../x'"),
            ('experiment = "toy"\n[variants]\nx = 1', "no table"),
            ('experiment = "toy"\n[variants.x]\nseeds = [1]', "has seeds"),
            ("experiment = ", "not TOML"),
        ],
    )
    def test_what_is_no_plan(self, text: str, says: str, tmp_path: Path) -> None:
        (tmp_path / "bad.toml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            read_plan(tmp_path / "bad.toml")
        assert says in str(caught.value)


def record(variant: str, seed: int, value: float | None, status: str = "done") -> RunRecord:
    about = {"experiment": "toy", "variant": variant, "seed": seed, "config": {}, "status": status}
    return RunRecord.of(about, Path("nowhere"), {"metrics": {"total": value}})


def test_means_spreads_and_paired_differences() -> None:
    records = [record("a", 0, 1.0), record("b", 0, 4.0), record("a", 1, 3.0), record("b", 1, 7.0)]
    records += [record("a", 2, 8.0), record("b", 2, None), record("c", 0, 5.0, "failed")]
    a, b, c = compare(records, find_experiment("toy").metrics)
    assert a["metrics"]["total"]["mean"] == 4.0
    assert a["metrics"]["total"]["sd"] == pytest.approx(13**0.5)
    assert a["behind"] == {}
    assert b["metrics"]["total"]["values"] == {"0": 4.0, "1": 7.0}
    assert b["behind"]["total"]["values"] == {"0": -3.0, "1": -4.0}
    assert b["behind"]["total"]["mean"] == -3.5
    assert b["behind"]["total"]["sd"] == pytest.approx(0.5**0.5)
    assert c["runs"] == 0
    assert c["metrics"]["total"] == {"mean": None, "sd": None, "runs": 0, "values": {}}


@pytest.mark.slow
def test_ctrl_c_leaves_checkpoints_and_the_same_command_goes_on(tmp_path: Path) -> None:
    gate, out = tmp_path / "gate", tmp_path / "out"
    line = ["experiment", "run", "toy", "--set", f"wait={gate}", "--set", "models=plus"]
    line += ["--seeds", "2", "--jobs", "2", "-o", str(out)]
    process = subprocess.Popen(
        command_line(*line), stderr=subprocess.PIPE, text=True, env=environment()
    )
    runs = [out / "plus-0", out / "plus-1"]
    wait_until(lambda: all(three_rows(path) for path in runs))
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert process.returncode == 130
    # A slow machine gets to tell of its progress before the signal comes.
    (line_said,) = [one for one in said.splitlines() if not one.startswith("toy, 2 runs: ")]
    assert f"{out} keeps what is done" in line_said
    assert {RunRecord.read(path).status for path in runs} == {"interrupted"}
    gate.touch()
    done = cli_process(*line, "--json")
    assert done.code == 0, done.err
    assert [one["summary"] for one in done.json["runs"]] == [{"total": 5.0}, {"total": 10.0}]
    assert [RunRecord.read(path).document["attempts"] for path in runs] == [2, 2]


def three_rows(path: Path) -> bool:
    return (path / "run.json").is_file() and len(list(RunRecord.read(path).rows())) == 3


def test_the_list_has_every_setting_and_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cli = Cli(capsys)
    (told,) = cli.ok("experiment", "list", "toy", "--json").json["experiments"]
    assert (told["presets"], told["summary"]) == (["small", "paper"], "Counts.")
    assert told["metrics"] == [{"name": "total", "title": "total", "better": "higher"}]
    steps = next(one for one in told["settings"] if one["name"] == "steps")
    assert steps == {"name": "steps", "description": "Steps.", "values": {"small": 5, "paper": 50}}
    whole = cli.ok("experiment", "list", "--json").json
    assert {"sorting", "lm", "classification", "toy"} <= {x["name"] for x in whole["experiments"]}
    assert "memoria" in {one["name"] for one in whole["models"]}
    assert "Counts." in cli.ok("experiment", "list").out
    assert "Steps." in cli.ok("experiment", "list", "toy").out
    assert "known are" in cli("experiment", "list", "toi").err
    (model,) = cli.ok("experiment", "list", "memoria", "--json").json["models"]
    depth = next(one for one in model["settings"] if one["name"] == "depth")
    assert (depth["value"], depth["description"][-1]) == (10, ".")
    assert "settings.memoria.KEY=VALUE" in cli.ok("experiment", "list", "memoria").out
    assert "no settings of its own" in cli.ok("experiment", "list", "none").out


def test_runs_that_are_done_start_no_process(tmp_path: Path) -> None:
    specs = specs_of(tmp_path, seeds=[0])
    first = [execute(spec) for spec in specs]
    assert [contents(one) for one in local(specs)] == [contents(one) for one in first]
    assert not any((spec.path / "log.txt").exists() for spec in specs)
    other = local(specs_of(tmp_path, seeds=[0], steps=6))
    assert [one.status for one in other] == ["failed", "failed"]
    assert "steps = 5, asked for 6" in str(other[0].error)
    assert [RunRecord.read(spec.path).status for spec in specs] == ["done", "done"]


def test_as_many_runs_as_cores() -> None:
    assert default_jobs("cpu") == len(os.sched_getaffinity(0))
