"""What each verb does, run in this process."""

from __future__ import annotations

import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import DIARY, Cli, fingerprint, rows

from memoria.backbones import default_backbone, load_backbone
from memoria.chunkstore.files import StoreFiles
from memoria.config import PRESETS, MemoriaConfig
from memoria.store import MemoryStore, read_config
from memoria_cli.app import command
from memoria_cli.terminal import output

NOT_ASKED = {"backbone_options", "backbone_fingerprint", "capacity", "lifespan_by"}


@pytest.fixture(autouse=True)
def _diary(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text(DIARY, encoding="utf-8")


def of_backbone(config: MemoriaConfig) -> MemoriaConfig:
    """The configuration with what its backbone says of itself."""
    made = load_backbone(config.backbone)
    return config.replace(backbone_options=made.options, backbone_fingerprint=made.fingerprint)


def indices(document: Any) -> list[list[int]]:
    return [[one["index"] for one in lane["reminded"]] for lane in document["lanes"]]


class TestInit:
    def test_defaults(self, cli: Cli) -> None:
        made = cli.ok("init", "notes", "--json").json
        assert set(made) == {"path", "step", "config", "digest"}
        assert made["path"] == os.path.abspath("notes")
        expected = of_backbone(MemoriaConfig(backbone=default_backbone()))
        assert read_config("notes") == expected
        assert made["config"] == expected.model_dump(mode="json")

    @pytest.mark.parametrize("preset", PRESETS)
    def test_presets(self, cli: Cli, preset: str) -> None:
        cli.ok("init", "x", "--preset", preset)
        expected = MemoriaConfig.preset(preset)
        if preset == "keep":
            expected = of_backbone(MemoriaConfig.preset(preset, backbone=default_backbone()))
        assert read_config("x") == expected

    def test_every_option_reaches_the_configuration(self, cli: Cli) -> None:
        given: dict[str, Any] = {
            "hidden_dim": 32,
            "lanes": 3,
            "num_reminded_stm": 5,
            "stm_capacity": 33,
            "ltm_search_depth": 4,
            "initial_lifespan": 7.5,
            "num_final_ltms": 6,
            "random_entries": 2,
            "tie_break": "oldest",
            "seed": 11,
            "layout": "sparse",
            "wm_length": 9,
            "rule": "uniform:3",
            "backbone": "array",
            "vector_dtype": "int8",
            "unit": "window:12",
        }
        assert set(given) == set(MemoriaConfig.model_fields) - NOT_ASKED
        options = [
            text
            for name, value in given.items()
            for text in ("--" + name.replace("_", "-"), str(value))
        ]
        cli.ok("init", "x", *options)
        assert read_config("x") == MemoriaConfig(**given)

    def test_options_beat_the_file_beats_the_preset(self, cli: Cli, tmp_path: Path) -> None:
        (tmp_path / "f.toml").write_text(
            'preset = "gpt2"\nstm_capacity = 300\nwm_length = 10\nhidden_dim = 64\n'
        )
        cli.ok("init", "a", "--config", "f.toml", "--wm-length", 20)
        made = read_config("a")
        assert (made.wm_length, made.stm_capacity, made.hidden_dim) == (20, 300, 64)
        assert made.num_final_ltms == PRESETS["gpt2"]["num_final_ltms"]
        cli.ok("init", "b", "--config", "f.toml", "--preset", "bert")
        assert read_config("b").num_final_ltms == PRESETS["bert"]["num_final_ltms"]
        assert read_config("b").stm_capacity == 300

    def test_the_dimension_comes_from_the_backbone(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[Any] = []

        class Model:
            name, dimension, options = "st:tiny", 48, {"normalize": False, "max_length": 9}
            fingerprint = "f" * 64

        def load(name: str, dimension: int | None = None, **options: Any) -> Any:
            seen.append((name, dimension, options))
            return Model()

        monkeypatch.setattr("memoria.backbones.load_backbone", load)
        cli.ok(
            *("init", "x", "--backbone", "st:tiny", "--no-normalize", "--max-length", 9),
            *("--backbone-option", "overlap=3", "--batch-size", 4, "--device", "cpu"),
        )
        options = {"normalize": False, "max_length": 9, "overlap": 3}
        assert seen == [("st:tiny", None, {**options, "batch_size": 4, "device": "cpu"})]
        made = read_config("x")
        assert made.hidden_dim == 48
        assert made.backbone_options == {"normalize": False, "max_length": 9}
        assert made.backbone_fingerprint == "f" * 64

    def test_plain_vectors_need_a_dimension(self, cli: Cli) -> None:
        ran = cli("init", "x", "--backbone", "array")
        assert ran.code == 2
        assert "--hidden-dim" in ran.err
        assert not Path("x").exists()

    @pytest.mark.parametrize(
        ("options", "code", "said"),
        [
            (["--lanes", "0"], 2, "lanes = 0"),
            (["--lanes", "two"], 2, "--lanes"),
            (["--rule", "never"], 2, "rule = 'never'"),
            (["--random-entries", "some"], 2, "random_entries = 'some'"),
            (["--initial-lifespan", "nan"], 2, "initial_lifespan"),
            (["--preset", "gpt5"], 2, "gpt2"),
            (["--config", "none.toml"], 2, "none.toml"),
            (["--backbone", "nothing"], 2, "'nothing' is unknown"),
            (["--backbone-option", "overlap"], 2, "KEY=VALUE"),
            (["--pooling", "mean"], 2, "pooling"),
        ],
    )
    def test_refusals(self, cli: Cli, options: list[str], code: int, said: str) -> None:
        ran = cli("init", "x", *options)
        assert (ran.code, ran.out) == (code, "")
        assert said in ran.err
        assert not Path("x").exists()

    def test_refuses_what_exists(self, cli: Cli, tmp_path: Path) -> None:
        cli.ok("init", "x")
        (tmp_path / "file").write_text("mine")
        (tmp_path / "full").mkdir()
        (tmp_path / "full" / "file").write_text("mine")
        for name in ("x", "file", "full"):
            ran = cli("init", name)
            assert (ran.code, ran.out) == (1, "")
            assert "exists already" in ran.err
        assert (tmp_path / "file").read_text() == "mine"
        assert cli("init", "none/x").code == 1


class TestCycle:
    def test_the_tutorial(self, cli: Cli) -> None:
        import torch

        torch.manual_seed(42)
        np.save("a.npy", torch.rand(2, 8, 64).numpy())
        np.save("b.npy", torch.rand(2, 8, 64).numpy())
        cli.ok("init", "t", "--preset", "tutorial")
        added = cli.ok("add", "t", "a.npy", "--json").json
        assert added["engrams_added"] == 16
        assert added["lanes"][1] == {"lane": 1, "added": list(range(1, 16, 2))}
        assert cli.ok("remind", "t", "--json").json == {
            "step": 0,
            "lanes": [{"lane": 0, "reminded": []}, {"lane": 1, "reminded": []}],
        }
        assert cli.ok("adjust", "t", "--delta", 0, "--json").json["step"] == 1
        cli.ok("add", "t", "b.npy")
        reminded = cli.ok("remind", "t", "--json").json
        assert indices(reminded) == [[0, 6, 4, 3, 2], [0, 7, 6, 5, 4]]
        assert cli.ok("remind", "t", "--json").json == reminded
        cli.ok("adjust", "t", "--delta", 5)
        with MemoryStore.open("t") as store:
            assert store.timestep == 2
            peeked = store.peek(np.load("b.npy"))
        of_first_lane = dict(zip(peeked.ids[0].tolist(), peeked.lifespans[0].tolist(), strict=True))
        assert of_first_lane[0] == 6  # 3 - 1, + 5 - 1
        assert of_first_lane[16] == 2

    def test_remind_tells_what_and_why(self, cli: Cli) -> None:
        cli.ok("init", "n")
        cli.ok("step", "n", "diary.txt")
        cli.ok("add", "n", "--text", "Where did the cat sleep?")
        document = cli.ok("remind", "n", "--json").json
        (lane,) = document["lanes"]
        assert document["step"] == 2
        for one in lane["reminded"]:
            assert set(one) == {
                *("id", "index", "type", "lifespan", "correlation", "log_correlation"),
                *("memory", "text", "source", "line", "time"),
            }
            assert one["memory"] in ("shortterm", "longterm")
            assert one["text"] in DIARY
            assert one["source"] == "diary.txt"
            assert one["text"] in DIARY.splitlines()[one["line"] - 1]
            assert math.exp(one["log_correlation"]) == pytest.approx(one["correlation"])
        text = cli.ok("remind", "n").out
        assert text.startswith(f"lane 0: {len(lane['reminded'])} reminded\n")
        assert "log correlation" in text.splitlines()[1]
        best = max(lane["reminded"], key=lambda one: one["log_correlation"])
        assert best["text"].startswith("The cat s")
        assert best["text"] in text
        top = cli.ok("remind", "n", "--top", 2, "--json").json["lanes"][0]["reminded"]
        assert [one["id"] for one in top] == [
            one["id"]
            for one in sorted(lane["reminded"], key=lambda one: -one["log_correlation"])[:2]
        ]

    def test_vectors_that_are_not_short_are_ranked_too(self, cli: Cli) -> None:
        """Their correlations are all 0.0 as numbers; the logarithms are not."""
        rng = np.random.default_rng(1)
        vectors = rng.normal(size=(48, 768)).astype(np.float32)
        np.save("x.npy", vectors)
        np.save("c.npy", (vectors[3] + 1.05 * rng.normal(size=768)).astype(np.float32)[None])
        cli.ok("init", "v", "--backbone", "array", "--hidden-dim", 768, "--wm-length", 8)
        cli.ok("step", "v", "x.npy", "--rule", "uniform:5")
        asked = ("remind", "v", "--peek", "--cue", "c.npy", "--top", 1)
        (best,) = cli.ok(*asked, "--json").json["lanes"][0]["reminded"]
        assert (best["id"], best["correlation"]) == (3, 0.0)
        assert f"{best['log_correlation']:.4g}" in cli.ok(*asked).out
        assert (best["source"], best["line"], best["time"]) == ("x.npy", None, None)

    def test_a_reminded_record_tells_its_line_and_time(self, cli: Cli) -> None:
        Path("chat.jsonl").write_text(
            '{"text": "Ada keeps bees.", "time": 5}\n{"text": "Ben repairs clocks.", "time": 7}\n'
        )
        cli.ok("init", "n", "--wm-length", 2)
        cli.ok("step", "n", "chat.jsonl")
        asked = cli.ok("remind", "n", "--peek", "--cue-text", "clocks", "--json").json
        found = {one["text"]: one for one in asked["lanes"][0]["reminded"]}
        ben = found["Ben repairs clocks."]
        assert (ben["source"], ben["line"], ben["time"]) == ("chat.jsonl:2", 2, 7)

    def test_peek_changes_nothing(self, cli: Cli) -> None:
        cli.ok("init", "n")
        cli.ok("step", "n", "diary.txt")
        before = fingerprint(Path("n"))
        asked = cli.ok("remind", "n", "--peek", "--cue-text", "The moon?", "--json").json
        assert asked["lanes"][0]["reminded"][0]["text"]
        Path("cue.md").write_text("The moon?")
        assert cli.ok("remind", "n", "--peek", "--cue", "cue.md", "--json").json == asked
        assert fingerprint(Path("n")) == before
        assert cli.ok("remind", "n", "--cue", "cue.md", "--json").json == asked
        assert fingerprint(Path("n")) == before

    def test_a_cue_asks_every_lane(self, cli: Cli) -> None:
        cli.ok("init", "n", "--lanes", 2)
        cli.ok("step", "n", "diary.txt", "diary.txt")
        lanes = cli.ok("remind", "n", "--peek", "--cue-text", "The moon?", "--json").json["lanes"]
        first, second = [[one["text"] for one in lane["reminded"]] for lane in lanes]
        assert set(first) & set(second)

    def test_out_holds_the_arrays(self, cli: Cli) -> None:
        cli.ok("init", "n", "--hidden-dim", 32)
        cli.ok("step", "n", "diary.txt")
        cli.ok("add", "n", "--text", "The cat?")
        lane = cli.ok("remind", "n", "-o", "r.npz", "--json").json["lanes"][0]["reminded"]
        with np.load("r.npz") as arrays:
            assert set(arrays) == {
                *("ids", "indices", "memories", "correlation", "log_correlation")
            }
            kept = arrays["ids"][0] >= 0
            assert arrays["ids"][0][kept].tolist() == [one["id"] for one in lane]
            assert arrays["memories"].shape == (1, len(kept), 32)
            assert arrays["memories"].dtype == np.float32
        assert cli("remind", "n", "-o", "r.npz").code == 1
        cli.ok("remind", "n", "-o", "r.npz", "--force")
        assert cli("remind", "n", "-o", "r.txt").code == 2

    def test_the_ways_to_adjust(self, cli: Cli) -> None:
        np.save("s.npy", rows(3, 2, 8, 64))
        digests = []
        np.save("fives.npy", np.full((2, 6), 5.0))
        for name, options in {
            "delta": ["--delta", 5],
            "from": ["--delta-from", "fives.npy"],
            "rule": ["--rule", "uniform:5"],
            "config": [],
            "other": ["--rule", "correlation"],
        }.items():
            cli.ok("init", name, "--preset", "tutorial")
            cli.ok("step", name, "s.npy", "--limit", 1)
            np.save("next.npy", rows(2, 8, 64, seed=5))
            cli.ok("add", name, "next.npy")
            cli.ok("remind", name, "--json")
            digests.append(cli.ok("adjust", name, *options, "--json").json["digest"])
        assert len(set(digests[:4])) == 1
        assert digests[4] != digests[0]

    def test_the_parts_of_a_step_in_order(self, cli: Cli) -> None:
        cli.ok("init", "n")
        for verb in ("remind", "adjust"):
            assert cli(verb, "n").code == 2
        cli.ok("add", "n", "--text", "One.")
        assert cli("adjust", "n").code == 2
        assert cli("step", "n", "diary.txt").code == 2
        cli.ok("remind", "n")
        assert cli("add", "n", "--text", "Two.").code == 2
        cli.ok("adjust", "n")

    def test_one_input_for_each_lane(self, cli: Cli) -> None:
        cli.ok("init", "n", "--lanes", 2)
        Path("b.txt").write_text("Only one.")
        ran = cli("add", "n", "diary.txt", "b.txt")
        assert ran.code == 2
        assert cli("add", "n", "b.txt").code == 2
        assert cli.ok("add", "n", "b.txt", "--text", "One too.").out.startswith("added 2 engrams")

    def test_units_and_length(self, cli: Cli) -> None:
        cli.ok("init", "n")
        ran = cli("add", "n", "diary.txt")
        assert ran.code == 2
        assert "--wm-length" in ran.err
        assert (
            cli.ok("add", "n", "diary.txt", "--wm-length", 9, "--json").json["engrams_added"] == 9
        )
        assert (
            cli.ok("add", "n", "diary.txt", "--unit", "line", "--json").json["engrams_added"] == 1
        )

    def test_the_backbone_is_the_stores(self, cli: Cli) -> None:
        cli.ok("init", "n", "--backbone", "hash")
        cli.ok("add", "n", "--text", "One.", "--backbone", "hash", "--device", "cpu")
        ran = cli("add", "n", "--text", "One.", "--backbone", "st:x")
        assert ran.code == 2
        assert "the store holds vectors of 'hash'" in ran.err


class TestStep:
    def test_counts_and_commits(self, cli: Cli) -> None:
        cli.ok("init", "n", "--wm-length", 2)
        document = cli.ok("step", "n", "diary.txt", "--json").json
        digest = document.pop("digest")
        assert document == {
            "path": os.path.abspath("n"),
            "steps": 5,
            "timestep": 5,
            "engrams_added": 9,
            "skipped": 0,
        }
        with MemoryStore.open("n") as store:
            assert (store.timestep, store.digest()) == (5, digest)

    def test_how_often_it_commits_changes_nothing(self, cli: Cli) -> None:
        digests = set()
        for every in (0, 0.25, 1000):
            cli.ok("init", f"n{every}", "--wm-length", 2)
            ran = cli.ok("step", f"n{every}", "diary.txt", "--commit-every", every, "--json")
            digests.add(ran.json["digest"])
        assert len(digests) == 1
        assert cli("step", "n0", "diary.txt", "--commit-every", "nan").code == 2

    def test_is_add_remind_adjust(self, cli: Cli) -> None:
        cli.ok("init", "a", "--wm-length", 3)
        cli.ok("init", "b", "--wm-length", 3)
        texts = ["The cat sat. The dog barked.", "A cat slept. Rain fell."]
        for text in texts:
            cli.ok("add", "a", "--text", text)
            cli.ok("remind", "a")
            last = cli.ok("adjust", "a", "--json").json
            stepped = cli.ok("step", "b", "--text", text, "--json").json
        assert last["digest"] == stepped["digest"]

    def test_resume_goes_on_and_takes_what_was_appended(self, cli: Cli) -> None:
        for name in ("whole", "parts"):
            cli.ok("init", name, "--wm-length", 2)
        cli.ok("step", "parts", "diary.txt", "--limit", 2)
        rest = cli.ok("step", "parts", "diary.txt", "--resume", "--json").json
        whole = cli.ok("step", "whole", "diary.txt", "--json").json
        assert (rest["steps"], rest["skipped"], rest["timestep"]) == (3, 4, 5)
        assert rest["digest"] == whole["digest"]
        again = cli.ok("step", "parts", "diary.txt", "--resume", "--json").json
        assert (again["steps"], again["skipped"], again["digest"]) == (0, 9, rest["digest"])
        with open("diary.txt", "a") as file:
            file.write("The sun came back.")
        assert cli.ok("step", "parts", "diary.txt", "--resume", "--json").json["steps"] == 1

    def test_resume_of_arrays(self, cli: Cli) -> None:
        np.save("s.npy", rows(5, 2, 8, 64))
        for name in ("whole", "parts"):
            cli.ok("init", name, "--preset", "tutorial")
        cli.ok("step", "parts", "s.npy", "--limit", 2)
        rest = cli.ok("step", "parts", "s.npy", "--resume", "--json").json
        assert rest["steps"] == 3
        assert rest["digest"] == cli.ok("step", "whole", "s.npy", "--json").json["digest"]

    def test_lanes_of_unequal_length_are_told(self, cli: Cli) -> None:
        cli.ok("init", "n", "--lanes", 2)
        Path("b.txt").write_text("Only one.")
        ran = cli("step", "n", "diary.txt", "b.txt", "--json")
        assert ran.code == 0
        assert ran.json["steps"] == 1
        assert "b.txt (lane 1) ended first" in ran.err

    def test_a_fault_in_a_later_input_is_found_before_the_first_step(self, cli: Cli) -> None:
        cli.ok("init", "n", "--wm-length", 2)
        Path("bad.txt").write_bytes(b"Fine so far. But \xff is not.")
        ran = cli("step", "n", "diary.txt", "bad.txt")
        assert (ran.code, ran.out) == (2, "")
        assert "bad.txt" in ran.err
        with MemoryStore.open("n") as store:
            assert store.timestep == 0

    def test_a_failing_backbone_leaves_the_finished_steps(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from memoria.backbones import load_backbone
        from memoria.errors import BackboneError

        hashing = load_backbone("hash", 384)

        class Failing:
            name, dimension, options = "hash", 384, {}
            calls = 0

            def encode(self, batch: list[str]) -> Any:
                self.calls += 1
                if self.calls > 1:
                    raise BackboneError("the model fell over")
                return hashing.encode(batch)

        failing = Failing()
        monkeypatch.setattr("memoria.backbones.streams.store_backbone", lambda *_, **__: failing)
        cli.ok("init", "n", "--wm-length", 64, "--backbone", "hash")
        Path("long.txt").write_text("A sentence about cats. " * 600)
        ran = cli("step", "n", "long.txt", "--commit-every", 1000)
        assert (ran.code, ran.out) == (2, "")
        assert "the model fell over" in ran.err
        with MemoryStore.open("n") as store:
            assert store.timestep == 4


class TestEncode:
    def test_vectors_go_round(self, cli: Cli) -> None:
        encoded = cli.ok(
            *("encode", "diary.txt", "--backbone", "hash", "--dimension", 32, "-o", "d.npy"),
            "--json",
        ).json
        assert encoded == {
            "path": os.path.abspath("d.npy"),
            "rows": 9,
            "items": 9,
            "dimension": 32,
            "backbone": "hash",
            "backbone_options": encoded["backbone_options"],
        }
        for name, source in (("a", "diary.txt"), ("b", "d.npy")):
            cli.ok("init", name, "--hidden-dim", 32)
            cli.ok("step", name, source)
        of_a, of_b = (
            cli.ok("remind", name, "--peek", "--cue-text", "The moon?", "--json").json
            for name in "ab"
        )
        assert indices(of_a) == indices(of_b)

    def test_refusals(self, cli: Cli) -> None:
        for options in (
            ["diary.txt", "-o", "d.npy"],
            ["diary.txt", "--backbone", "hash"],
            ["none.txt", "--backbone", "hash", "-o", "d.npy"],
            ["diary.txt", "--backbone", "hash", "-o", "d.xyz"],
            ["--backbone", "hash", "-o", "d.npy"],
        ):
            ran = cli("encode", *options)
            assert (ran.code, ran.out) == (2, ""), ran
            assert ran.err.count("\n") == 1
        assert not Path("d.npy").exists()


class TestOutput:
    def test_text_cannot_drive_the_terminal(self, cli: Cli, tmp_path: Path) -> None:
        cli.ok("init", "n")
        evil = "The cat \x1b]0;owned\x07\x1b[31m sat\u202e down\x9b2J."
        (tmp_path / "e.txt").write_text(evil, encoding="utf-8")
        cli.ok("step", "n", "e.txt")
        shown = cli.ok("remind", "n", "--peek", "--cue-text", "cat").out
        assert "cat" in shown
        assert not set(shown) & set("\x1b\x07\u202e\x9b")
        as_json = cli.ok("remind", "n", "--peek", "--cue-text", "cat", "--json")
        assert as_json.out.isascii()
        assert "\x1b" not in as_json.out
        assert as_json.json["lanes"][0]["reminded"][0]["text"] == evil
        failed = cli("add", "n", "no\x1b[31m\nsuch.txt")
        assert failed.code == 2
        assert failed.err.count("\n") == 1
        assert "\x1b" not in failed.err

    def test_escape_keeps_letters(self) -> None:
        for text in ("plain", "Grüße", "猫が座った。", "नमस्ते", "[bold]not markup[/bold]"):
            assert output.escape(text) == text
        assert output.escape("a\x00\x7f\u2028\ud800") == "a\\x00\\x7f\\u2028\\ud800"

    def test_a_terminal_gets_rich(
        self, cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        cli.ok("init", "n")
        (tmp_path / "e.txt").write_text("A [bold]cat[/bold] \x1b[31m sat.", encoding="utf-8")
        cli.ok("step", "n", "e.txt")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm")
        shown = cli("remind", "n", "--peek", "--cue-text", "cat").out
        assert "[bold]cat[/bold]" in shown
        assert "\x1b[31m" not in shown

    def test_errors_as_json(self, cli: Cli) -> None:
        ran = cli("remind", "none", "--json")
        assert (ran.code, ran.out) == (10, "")
        error = json.loads(ran.err)["error"]
        assert set(error) == {"code", "type", "message", "hint"}
        assert (error["code"], error["type"]) == (10, "StoreNotFoundError")
        usage = json.loads(cli("remind", "--json").err)["error"]
        assert (usage["code"], usage["type"]) == (2, "UsageError")

    @pytest.mark.parametrize(
        "line",
        [
            "nonsense",
            "remind",
            "remind a b",
            "remind --none x",
            "add x --wm-length -1",
            "adjust x --delta y",
        ],
    )
    def test_usage_errors_are_one_line(self, cli: Cli, line: str) -> None:
        ran = cli(*line.split())
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("memoria: ")
        assert "; hint: `memoria " in ran.err
        assert ran.err.count("\n") == 1

    @pytest.mark.parametrize(
        ("raised", "code", "said"),
        [
            (ZeroDivisionError("division\nby zero"), 1, "unexpected ZeroDivisionError: division"),
            (MemoryError(), 1, "out of memory"),
            (OSError(28, "No space left on device", "x"), 1, "x: No space left on device"),
            (KeyboardInterrupt(), 130, "interrupted"),
        ],
    )
    def test_whatever_happens_is_one_line(
        self,
        cli: Cli,
        monkeypatch: pytest.MonkeyPatch,
        raised: BaseException,
        code: int,
        said: str,
    ) -> None:
        def fail(*_: object) -> None:
            raise raised

        monkeypatch.delenv("MEMORIA_DEBUG", raising=False)
        monkeypatch.setattr("memoria.store.reading.open_files", fail)
        ran = cli("remind", "x")
        assert (ran.code, ran.out) == (code, "")
        assert said in ran.err
        assert ran.err.count("\n") == 1
        if code == 1:
            monkeypatch.setenv("MEMORIA_DEBUG", "1")
            assert "Traceback" in cli("remind", "x").err


def test_no_other_module_prints() -> None:
    package = Path(output.__file__).parent
    for path in package.rglob("*.py"):
        if path.name != "output.py":
            text = path.read_text(encoding="utf-8")
            for way in ("print(", "sys.stdout", "sys.stderr", "Console(", ".echo("):
                assert way not in text, f"{path.name} uses {way}"
    assert command().name == "memoria"


def test_verbs_of_a_step_open_the_store_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    open_store = StoreFiles.open

    def count(path: Any, *more: Any) -> StoreFiles:
        opened.append(str(path))
        return open_store(path, *more)

    cli.ok("init", "s")
    monkeypatch.setattr(StoreFiles, "open", count)
    for line in (
        "step s diary.txt",
        "step s diary.txt --resume",
        "add s --text Again.",
        "remind s",
        "remind s --peek --cue-text moon",
        "adjust s",
        "pin s 8",
        "unpin s 8",
    ):
        opened.clear()
        cli.ok(*line.split())
        assert opened == ["s"], line


def test_exported_lines_bring_texts_sources_times_and_meta_back(cli: Cli, tmp_path: Path) -> None:
    lines = [
        {"text": "The moon. It was full.", "source": "sky.txt", "offset": 7, "time": 10**12},
        {"text": "Bread is baked.", "meta": {"by": "Anna", "tags": ["é", 1]}},
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    exported = []
    for name, given in (("first", "in.jsonl"), ("second", "first.jsonl")):
        cli.ok("init", name)
        cli.ok("step", name, given)
        cli.ok("export", name, f"{name}.jsonl")
        text = (tmp_path / f"{name}.jsonl").read_text()
        exported.append([json.loads(line) for line in text.splitlines()])
    keys = ("text", "source", "offset", "time", "meta")
    first, second = ([{key: one[key] for key in keys} for one in rows] for rows in exported)
    assert first == second
    assert first == [
        {**dict.fromkeys(keys), **lines[0]},
        {**dict.fromkeys(keys), **lines[1], "source": "in.jsonl:2", "offset": 0},
    ]
