"""The benchmarks run at tiny sizes and write what they promise. No time is judged."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
TIMES = {"samples", "median_seconds", "p99_seconds", "max_seconds"}


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their modules can be imported; what they set in the environment does not stay."""
    places = [str(ROOT), str(ROOT / "benchmarks" / "harness")]
    monkeypatch.setattr(sys, "path", [*places, *sys.path])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run here: starting Python with torch for each takes longer than the job."""

    def harness(script: str, job: Mapping[str, Any], *_: Any) -> dict[str, Any]:
        module = import_module(script.removesuffix(".py"))
        answer: dict[str, Any] = json.loads(json.dumps(module.run(json.loads(json.dumps(job)))))
        return answer

    for name in ("step_time", "training", "text", "gpu"):
        monkeypatch.setattr(import_module(f"benchmarks.{name}"), "harness", harness)


def ran(name: str, out: Path, *words: str) -> dict[str, Any]:
    """The JSON that the benchmark wrote, with what all of them hold checked."""
    module = import_module(f"benchmarks.{name}")
    module.main([*words, "--threads", "1", "--out", str(out / "result.json")])
    text = (out / "result.json").read_text()
    document: dict[str, Any] = json.loads(text)
    machine = document["machine"]
    assert machine["cores"] >= 1
    assert machine["torch_threads"] == 1
    assert machine["packages"]["torch"] == torch.__version__
    assert len(machine["load_average"]) == 3
    assert str(ROOT) not in text
    assert str(out) not in text
    return document


def test_step_time(tmp_path: Path, same_process: None) -> None:
    sizes = ("--sizes", "60,600", "--upstream-sizes", "60", "--steps", "6", "--lane-size", "100")
    lives = ("--text-steps", "12", "--life-steps", "20", "--life-engrams", "900")
    data = ("--dimension", "16", "--texts", "120", "--no-model", "--lanes", "2", "--no-upstream")
    told = ran("step_time", tmp_path, *sizes, *lives, *data, "--dense-gb", "0.001")
    assert told["vectors"] == "120 sentences, backbone hash"
    grown = told["nothing_dies"]
    for row in grown["sparse"]:
        assert row.keys() >= TIMES
        assert row["samples"] == 6
        assert row["index_bytes"]["EngramState"] > 0
        assert "ArrayVectors" not in row["index_bytes"]
        assert row["index_bytes_per_engram"] * row["engrams"] == pytest.approx(
            sum(row["index_bytes"].values())
        )
    assert [row["engrams"] for row in grown["sparse"]] == [60, 600]
    assert grown["dense"][0]["median_seconds"] > 0
    assert "too large" in grown["dense"][1]["missing"]
    assert grown["upstream"] == [{"engrams": 60, "missing": "not available"}]
    assert told["training_lanes"]["dense"]["engrams"] == 100
    assert told["text_with_rule"]["sparse"]["engrams"] > 0
    assert told["text_with_rule"]["sparse"]["engrams"] == told["text_with_rule"]["dense"]["engrams"]
    blocks = told["long_life"]["blocks"]
    assert [block["step"] for block in blocks] == list(range(2, 21, 2))
    assert blocks[-1]["engrams"] < 20 * 50  # some died
    ratios = told["ratios"]
    assert ratios["sparse_600_over_60"] == pytest.approx(
        grown["sparse"][1]["median_seconds"] / grown["sparse"][0]["median_seconds"]
    )
    assert ratios["upstream_over_sparse"] == {"60": None}


@pytest.mark.slow
def test_training(tmp_path: Path, same_process: None) -> None:
    sizes = ("--layers", "1", "--hidden", "12", "--heads", "2", "--batch", "2", "--length", "8")
    more = ("--steps", "2", "--warm-up", "3", "--devices", "cpu", "--no-upstream")
    cases = ran("training", tmp_path, *sizes, *more)["devices"]["cpu"]["cases"]
    assert list(cases) == ["none", "attention", "ours", "upstream"]
    for name in ("none", "attention", "ours"):
        assert cases[name].keys() >= TIMES
    assert cases["none"]["overhead_percent"] == pytest.approx(0.0)
    assert cases["none"]["parameters"] < cases["ours"]["parameters"]
    assert cases["ours"]["engrams"] > 0
    assert 0 < cases["ours"]["memory_median_seconds"] < cases["ours"]["max_seconds"]
    assert cases["upstream"]["missing"] == "not available"


def growth(folder: Path, **more: Any) -> dict[str, Any]:
    """A small job of the memory's harness."""
    np.save(folder / "vectors.npy", np.eye(60, 8, dtype=np.float32))
    job = {
        **import_module("benchmarks.setting").SETTING,
        "kind": "growth",
        "implementation": "dense",
        "vectors": str(folder / "vectors.npy"),
        "threads": 1,
        "lanes": 2,
        "device": "cpu",
        "warm_up": 1,
        "alpha": None,
        "sizes": [100],
        "steps": 3,
        "time_limit": 60,
    }
    return {**job, **more}


@pytest.mark.slow
def test_a_process_of_its_own_and_one_that_fails(tmp_path: Path) -> None:
    processes = import_module("benchmarks.processes")
    answer = processes.harness("memory_harness.py", growth(tmp_path))
    assert len(answer["sizes"][0]["seconds"]) == 3
    assert answer["sizes"][0]["peak_bytes"] > 0
    with pytest.raises(processes.HarnessError, match="No such file"):
        processes.harness("memory_harness.py", growth(tmp_path, vectors="nowhere.npy"))


def test_an_upstream_that_is_not_there_is_said(tmp_path: Path) -> None:
    step_time, processes = map(import_module, ("benchmarks.step_time", "benchmarks.processes"))
    for words, said in (
        (["--upstream-python", "/nowhere/python"], "No such file"),
        (["--upstream-python", sys.executable], "memoria"),
        (["--upstream-path", str(tmp_path)], "memoria"),
        (["--no-upstream"], "left out"),
    ):
        found = processes.Upstream(step_time.options().parse_args(words))
        assert not found.is_there
        assert said in found.about


def test_an_upstream_in_a_folder_runs_in_place_of_ours(tmp_path: Path) -> None:
    """Its unpacked wheel is enough, beside the torch that is there."""
    step_time, processes = map(import_module, ("benchmarks.step_time", "benchmarks.processes"))
    (tmp_path / "memoria").mkdir()
    (tmp_path / "memoria" / "__init__.py").write_text("class Memoria: pass\n")
    about = tmp_path / "memoria_pytorch-1.1.0.dist-info"
    about.mkdir()
    name = "Name: memoria-pytorch\nVersion: 1.1.0\n"
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\n{name}")
    words = ["--upstream-path", str(tmp_path)]
    found = processes.Upstream(step_time.options().parse_args(words))
    assert found.about == "memoria-pytorch 1.1.0"
    with pytest.raises(processes.HarnessError, match="Memoria"):  # the one there takes nothing
        found.run("memory_harness.py", growth(tmp_path), 60)


@pytest.mark.slow
def test_store(tmp_path: Path) -> None:
    sizes = ("--sizes", "120", "--dimension", "16", "--commits", "2", "--repeats", "2")
    words = (*sizes, "--bulk-rows", "600", "--small-steps", "12", "--directory", str(tmp_path))
    told = ran("store", tmp_path, *words, "--kept", str(tmp_path / "kept"))
    row = told["sizes"][0]
    assert row["engrams"] == 120
    assert row["build_seconds"] > 0
    for key in ("open_for_writing", "open_and_first_peek", "commit", "fsync", "gather_500"):
        assert row[key].keys() == TIMES
    assert row["first_steps"]["samples"] > row["step"]["samples"] == 2
    assert row["commit_over_fsync"] == pytest.approx(
        row["commit"]["median_seconds"] / row["fsync"]["median_seconds"]
    )
    small = told["small_text"]
    assert small["living"] == small["sentences"] == 96
    assert small["sentences_per_second"] == pytest.approx(96 / small["command_seconds"])
    load = told["bulk_load"]
    assert load["bytes"] == 600 * 16 * 4
    assert load["share_of_raw_bandwidth"] > 0
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"result.json", "kept"}
    again = ran("store", tmp_path, *words, "--kept", str(tmp_path / "kept"))
    assert again["sizes"][0]["build_seconds"] is None


@pytest.mark.slow
def test_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = import_module("benchmarks.commands")
    lines: list[tuple[str, ...]] = []

    def command(*words: str) -> tuple[dict[str, float], bytes]:
        lines.append(words)
        if words[0] == "diff":
            raise commands.CommandError("no luck")
        return {"seconds": 0.5, "processor_seconds": 0.25, "peak_bytes": 2**20}, b""

    monkeypatch.setattr(commands, "command", command)
    words = ("--sizes", "50", "--dimension", "16", "--repeats", "2", "--directory", str(tmp_path))
    told = ran("commands", tmp_path, *words)
    assert list(told["baselines"]) == ["interpreter", "import numpy", "import torch"]
    assert told["baselines"]["import torch"]["peak_bytes"] > 2 * 10**7
    assert list(told["commands"]) == ["--help", "--version"]
    verbs = told["stores"][0]["verbs"]
    assert verbs.pop("diff") == {"missing": "no luck"}
    for one in verbs.values():
        assert one.keys() == TIMES | {"processor_median_seconds", "peak_bytes"}
    assert sum(line[0] == "remind" and "--peek" not in line for line in lines) == 2
    from memoria_cli.app import VERBS

    unmeasured = {"push", "pull", "experiment", "demo", "serve", "mcp"}
    assert {line[0] for line in lines} - {"--help", "--version"} >= set(VERBS) - unmeasured


def test_a_command_that_fails_says_so() -> None:
    processes = import_module("benchmarks.processes")
    with pytest.raises(processes.CommandError, match="no luck"):
        processes.process("-c", "raise SystemExit('no luck')")
    spent, said = processes.process("-c", "print(sum(range(10**6)))")
    assert said == b"499999500000\n"
    assert spent["processor_seconds"] > 0
    assert 10**6 < spent["peak_bytes"] < 10**8  # its own, not this process's


def test_text(tmp_path: Path, same_process: None) -> None:
    sizes = ("--dimensions", "16,24", "--steps", "14", "--sentences", "24", "--repeats", "1")
    told = ran("text", tmp_path, *sizes, "--no-upstream", "--directory", str(tmp_path))
    assert [row["dimension"] for row in told["rows"]] == [16, 24]
    for row in told["rows"]:
        assert row["upstream"] == {"missing": "not available"}
        assert row["sparse"]["engrams"] == row["dense"]["engrams"] == row["store"]["engrams"] == 112
        assert row["store"].keys() == TIMES | {"engrams", "commit_seconds"}
    read = told["command"]
    assert read["sentences_per_second"] == pytest.approx(24 / read["median_seconds"])
    assert [one.name for one in tmp_path.iterdir()] == ["result.json"]


def test_gpu_runs_small_without_one(tmp_path: Path, same_process: None) -> None:
    words = ("--quick", "--device", "cpu", "--no-upstream", "--parts", "steps,training,store")
    told = ran("gpu", tmp_path, *words)
    assert told["machine"]["card"] == "cpu"
    (row,) = told["steps"]
    assert (row["lanes"], row["engrams"], row["ours"]["samples"]) == (2, 200, 3)
    assert row["upstream"] == {"missing": "not available"}
    assert told["training"]["ours"]["over_none"] > 0
    assert [one["lanes"] for one in told["store"]] == [1, 2]
    assert told["seconds"] < 450


def test_gpu_tells_what_does_not_fit_into_its_time(tmp_path: Path, same_process: None) -> None:
    words = ("--quick", "--device", "cpu", "--no-upstream", "--minutes", "0")
    told = ran("gpu", tmp_path, *words, "--parts", "steps,models,training,store")
    assert told["steps"][0]["ours"] == {"missing": "the time was up"}
    assert told["models"] == {"missing": "the time was up"}
    assert told["store"] == []


def test_the_tests_of_cuda_are_found() -> None:
    gpu = import_module("benchmarks.gpu")
    marked = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("test_*.py")
        if "pytest.mark.cuda" in file.read_text(encoding="utf-8")
    }
    assert marked - {"tests/test_benchmarks.py"} == set(gpu._TESTS)


@pytest.mark.slow
def test_the_tests_of_cuda_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = import_module("benchmarks.gpu")
    monkeypatch.setitem(gpu._LIMITS, "tests", 280.0)  # a busy machine collects slowly
    told = ran("gpu", tmp_path, "--quick", "--no-upstream", "--parts", "tests")["tests"]
    assert told["code"] == 0
    assert re.search(r"[0-9]+ (passed|skipped)", told["summary"])


def test_history_draws_every_release(tmp_path: Path) -> None:
    history = import_module("benchmarks.history")
    for release, when, seconds in (("0.9.0", "2026-01-01", 2.0), ("0.10.0", "2026-02-01", 1.0)):
        (tmp_path / release).mkdir()
        document = {
            "when": when,
            "machine": {"load_average": [seconds - 1, 0, 0]},
            "commands": {"--help": {"median_seconds": seconds}},
            "stores": [{"engrams": 1000, "add": {"median_seconds": 3.0}}],
        }
        (tmp_path / release / "commands.json").write_text(json.dumps(document))
    (tmp_path / "0.9.0" / "text.quick.json").write_text("{}")
    told = history.main(["--results", str(tmp_path)])
    assert told["--help"] == {"unit": "s", "values": [2.0, 1.0], "idle": [False, True]}
    assert told["memoria add at 10^3"]["values"] == [3.0, 3.0]
    assert told["hash"]["values"] == [None, None]
    picture = (tmp_path / "history.svg").read_text()
    assert picture.index(">0.9.0<") < picture.index(">0.10.0<")
    assert "--help [s]" in picture
    assert "hash" not in picture
    history.main(["--results", str(tmp_path)])
    assert (tmp_path / "history.svg").read_text() == picture


def test_the_history_of_this_house_can_be_drawn(tmp_path: Path) -> None:
    told = import_module("benchmarks.history").main(["-o", str(tmp_path / "all.svg")])
    assert any(value is not None for one in told.values() for value in one["values"])


def test_every_benchmark_has_a_name_and_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    package = import_module("benchmarks.__main__")
    assert package.main([]) == 0
    said = capsys.readouterr().out
    told = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    for name in {**package.BENCHMARKS, **package.ALONE}:
        assert hasattr(import_module(f"benchmarks.{name}"), "main")
        assert f"  {name} " in said
        assert f"`python -m benchmarks {name}" in told
    assert package.main(["nothing"]) == 2


def test_all_goes_on_after_one_that_fails(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    package = import_module("benchmarks.__main__")
    monkeypatch.setattr(package, "BENCHMARKS", {"nothing": "", "history": ""})
    assert package.main(["all", "--help"]) == 1
    said = capfd.readouterr().out
    assert "failed (2)" in said
    assert "done" in said


@pytest.mark.slow
def test_models(tmp_path: Path) -> None:
    told = ran("models", tmp_path, "--quick")
    rows = {row["name"]: row for row in told["rows"]}
    assert len(rows) == 5
    for name, row in rows.items():
        assert row["step"].keys() == TIMES
        assert row["step"]["samples"] == 3
        assert (row["engrams"] > 0) == (row["memory"] is not None) == (not name.endswith("plain"))
        assert (
            row["memory"] is None or 0 < row["memory"]["max_seconds"] < row["step"]["max_seconds"]
        )
    assert rows["GPT-2 with memory"]["parameters"] > rows["GPT-2 plain"]["parameters"]
    assert told["over_plain"]["BERT with memory"] == pytest.approx(
        rows["BERT with memory"]["step"]["median_seconds"]
        / rows["BERT plain"]["step"]["median_seconds"]
    )


def test_readers(tmp_path: Path) -> None:
    told = ran("readers", tmp_path, "--quick", "--only", "paper; joint, shared keys")
    rows = {row["name"]: row for row in told["rows"]}
    assert list(rows) == ["paper", "joint, shared keys"]
    for row in rows.values():
        assert row["step"].keys() == row["plain"].keys() == TIMES
        assert row["over_plain"] > 0
    assert rows["paper"]["reader_parameters"] > rows["joint, shared keys"]["reader_parameters"]


def test_encode_without_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("benchmarks.encode"), "model_folder", lambda: None)
    told = ran("encode", tmp_path, "--texts", "30", "--repeats", "1")
    assert told["texts"]["count"] == 30
    assert [row["name"] for row in told["rows"]] == ["hash, new words", "hash", "bare model"]
    assert told["rows"][0]["texts_per_second"] > 0
    assert told["ours_over_bare_model"] is None


def test_encode_with_a_model(tmp_path: Path) -> None:
    if import_module("benchmarks.texts").model_folder() is None:
        pytest.skip("needs the package with all-MiniLM-L6-v2")
    told = ran("encode", tmp_path, "--texts", "6", "--repeats", "1", "--batch-size", "3")
    rates = {row["name"]: row["texts_per_second"] for row in told["rows"]}
    assert told["ours_over_bare_model"] == pytest.approx(
        rates["hf, same batches"] / rates["bare model"]
    )


def conversations(folder: Path) -> None:
    who_saw_what = {"26": ("Ann", "bees"), "30": ("Bob", "trains"), "48": ("Cid", "kites")}
    who_saw_what["49"] = ("Dan", "ships")
    for name, (who, what) in who_saw_what.items():
        said = [f"I saw {number} {what} in {what}ville" for number in range(12)]
        turns = [{"speaker": who, "dia_id": f"D1:{n}", "text": one} for n, one in enumerate(said)]
        asked = [
            {"question": f"Did {who} see {n} {what}?", "evidence": [f"D1:{n}"]} for n in range(9)
        ]
        told = {"session_1": turns, "session_1_date_time": "1:56 pm on 8 May, 2023", "qa": asked}
        (folder / f"{name}.json").write_text(json.dumps(told))


def test_ask_confidence(tmp_path: Path) -> None:
    conversations(tmp_path)
    told = ran("ask_confidence", tmp_path, "--data", str(tmp_path))
    assert set(told["fitted"]) == {"start", "bare", "whole", "share", "unknown"}
    assert told["judged"]["dev"]["auroc"] > 0.9


def test_codes(tmp_path: Path) -> None:
    conversations(tmp_path)
    size = ("--rows", "3000", "--dimension", "64")
    told = ran("codes", tmp_path, "--data", str(tmp_path), "--backbones", "hash", *size)
    found = {(row["split"], row["way"]): row["ndcg_10"] for row in told["rows"]}
    assert found["test", "ask"] == found["test", "ask, store int8"] > 0.9
    assert found["test", "nearest"] == found["test", "nearest, binary, 40 rescored"]
    assert ("test", "ask, first look binary") not in found  # not for hash
    assert [one["inside"] for one in told["together"]] == [1, 1]  # of no more than 80 turns
    sizes = {one["kept"]: one["bytes"] for one in told["first_look"]}
    assert sizes == {"float32": 3000 * 256, "int8": 3000 * 68, "binary": 3000 * 8}


def test_peers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    peers, harness = import_module("benchmarks.peers"), import_module("peer_harness")

    def by_vectors(texts: Any, known: Any) -> Any:
        rows = known.of(texts)
        return lambda question: np.argsort(-(rows @ known.of([question])[0]))[:10].tolist()

    def elsewhere(script: str, job: Mapping[str, Any], python: str, limit: float) -> dict[str, Any]:
        if job["peer"] == "langchain":
            raise peers.HarnessError("no such package")
        answer: dict[str, Any] = json.loads(json.dumps(harness.run(job)))
        return answer

    monkeypatch.setitem(harness.PEERS, "chromadb", (by_vectors, "numpy"))
    monkeypatch.setattr(peers, "elsewhere", elsewhere)
    monkeypatch.setattr(peers, "made_environment", lambda name, packages: sys.executable)
    monkeypatch.setattr(peers, "model_folder", lambda: None)
    conversations(tmp_path)
    chosen = ("--ours", "hash", "--peers", "chromadb,langchain")
    told = ran("peers", tmp_path, "--data", str(tmp_path), *chosen)
    assert (told["questions"], told["texts"]) == (18, 24)
    ours, near, gone = told["rows"]
    assert (ours["name"], near["version"].split()[0]) == ("ask, hash", "numpy")
    for row in (ours, near):
        assert row.keys() >= TIMES
        assert row["interval"][0] <= row["recall_10"] <= row["interval"][1] <= 1
        assert 0 < row["ndcg_10"] <= 1
    assert ours["recall_10"] == 1
    assert gone == {"name": "langchain", "missing": "no such package"}


def test_the_map_to_more_numbers_keeps_distances() -> None:
    texts = import_module("benchmarks.texts")
    if texts.model_folder() is None:
        pytest.skip("needs the package with all-MiniLM-L6-v2")
    from memoria.backbones import load_backbone

    wide, about = texts.text_vectors(400, 4, model=True)
    plain = load_backbone(f"hf:{texts.model_folder()}").encode(texts.sentences()[:4])
    assert wide.shape == (4, 400)
    assert "384 numbers mapped to 400" in about
    np.testing.assert_allclose(wide @ wide.T, plain @ plain.T, atol=1e-5)


def test_bytes_are_counted_once_and_without_vectors() -> None:
    harness = import_module("memory_harness")
    from memoria import Memoria

    memory = Memoria(4, 8, 2, 9, 4, layout="sparse")
    memory.add_working_memory(torch.rand(1, 6, 512))
    held = harness.index_bytes(memory)
    state: Any = memory._core.state  # type: ignore[union-attr]
    own = sum(value.nbytes for value in vars(state).values() if isinstance(value, torch.Tensor))
    assert own <= held["EngramState"] < own + 6 * 512
    assert sum(held.values()) < state.vectors._data.nbytes
    assert sum(harness.index_bytes([memory, memory]).values()) == sum(held.values())


def test_gains_follow_the_correlation_rule() -> None:
    harness = import_module("memory_harness")
    from memoria.timeline.gain import parse_rule

    torch.manual_seed(0)
    cue, memories = torch.rand(1, 3, 4), torch.rand(1, 5, 4)
    indices = torch.tensor([[4, 2, 0, -1, -1]])
    gains = harness.correlation_gains(cue, memories, indices, 8.0)
    square = (cue.unsqueeze(2) - memories.unsqueeze(1)).double().square().sum(3)
    wanted = parse_rule("correlation:8").gains(square.neg().exp().mean(1)[0, :3].numpy())
    np.testing.assert_allclose(gains[0, :3].numpy(), wanted, rtol=1e-6)
    assert gains[0, 3:].tolist() == [0.0, 0.0]


def test_texts_that_come_again_are_no_copies(tmp_path: Path) -> None:
    harness = import_module("memory_harness")
    vectors = torch.nn.functional.normalize(torch.rand(10, 8), dim=1)
    np.save(tmp_path / "v.npy", vectors.numpy())
    job = {"vectors": str(tmp_path / "v.npy"), "lanes": 2, "working": 4, "device": "cpu"}
    cues = harness.Cues(job)
    first, _, third = cues.next(), cues.next(), cues.next()
    assert torch.equal(first[0], vectors[:4])
    assert torch.equal(first[1], vectors[5:9])
    assert third.shape == (2, 4, 8)
    np.testing.assert_allclose(third.norm(dim=2).numpy(), 1.0, rtol=1e-5)
    assert not any(torch.equal(row, one) for row in third[0] for one in vectors)


def test_watch(tmp_path: Path) -> None:
    told = ran("watch", tmp_path, "--quick", "--steps", "40", "--speeds", "100")
    assert told["store"]["engrams_made"] == 320
    (watched,) = told["replay"]
    assert (watched["steps"], watched["columns"]) == (40, 80)
    assert watched["frames"] > 1
    assert watched["share_of_a_core"] > 0
    assert watched["bytes_a_second"] > 0


@pytest.mark.slow
def test_serving(tmp_path: Path) -> None:
    told = ran("serving", tmp_path, "--quick", "--engrams", "40", "--clients", "3")
    alone, together, beside_writes = told["served"]
    assert [one["ask"]["samples"] for one in told["served"]] == [2, 6, 6]
    assert alone["write"] is together["write"] is None
    assert beside_writes["write"]["samples"] >= 1
    assert not any(one["failures"] for one in told["served"])


@pytest.mark.slow
def test_report(tmp_path: Path) -> None:
    told = ran("report", tmp_path, "--steps", "12", "--opens", "0")
    assert [row["shown"] for row in told["reports"]] == [48, 48]
    assert all(row["write"].keys() >= TIMES for row in told["reports"])
    assert told["reports"][0]["bytes"] < 10**7


@pytest.mark.slow
def test_long_life(tmp_path: Path) -> None:
    told = ran("long_life", tmp_path, "--steps", "3", "--plots", "sizes", "--no-report")
    assert told["recomputed"] == {
        "steps": 3,
        "identical": True,
        "first_difference": None,
        "near_ties": [],
    }
    assert told["sound"]
    assert told["store"]["steps"] == 3
    assert told["store"]["engrams_made"] == told["text"]["sentences"] == 24
    assert told["files"]["sizes.svg"] > 0
    assert {"step", "replay", "replay --recompute", "plot sizes"} <= told["commands"].keys()
    assert all(one["seconds"] > 0 for one in told["commands"].values())
