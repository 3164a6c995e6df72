"""Reports of experiments: what runs say together, what is left out and said to be."""

from __future__ import annotations

import base64
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Cli, process
from experiment_tools import toy as toy

from memoria.errors import ConfigError, StoreNotFoundError
from memoria.experiments import EXPERIMENTS, inside, make_plan
from memoria.experiments.report import read_report
from memoria.experiments.report_files import write_report

pytestmark = pytest.mark.usefixtures("toy")


def made(
    folder: Path,
    variant: str,
    seed: int,
    total: float | None,
    experiment: str = "toy",
    status: str = "done",
    rows: int = 3,
) -> Path:
    """A run's folder as one that ended with ``total`` leaves it."""
    path = folder / f"{re.sub('[^a-z]', '', variant)}-{seed}"
    path.mkdir(parents=True)
    error = {"type": "Failed", "message": "it broke"} if status == "failed" else None
    document = {
        "format": 1,
        "experiment": experiment,
        "variant": variant,
        "seed": seed,
        "config": {},
        "status": status,
        "seconds": 1.5,
        "error": error,
    }
    (path / "run.json").write_text(json.dumps(document))
    lines = [{"kind": "validation", "step": n, "total": n * seed} for n in range(rows)]
    (path / "results.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    if status == "done":
        (path / "summary.json").write_text(json.dumps({"metrics": {"total": total}}))
    return path


def filled(folder: Path) -> Path:
    """Three seeds of "b", three of "a", two of them shared; the folder says b comes first."""
    for seed, total in enumerate((1.0, 2.0, 6.0)):
        made(folder, "b", seed, total)
    for seed, total in ((1, 1.0), (2, 3.0), (7, 100.0)):
        made(folder, "a", seed, total)
    made(folder, "a", 3, None, status="failed")
    made(folder, "a", 4, None, status="running")
    (folder / "experiment.json").write_text(json.dumps({"variants": ["b", "a"]}))
    return folder


class TestNumbers:
    def test_means_and_spread(self, tmp_path: Path) -> None:
        (report,) = read_report(filled(tmp_path / "runs")).experiments
        first, second = report.variants
        assert (first["variant"], second["variant"]) == ("b", "a")
        assert first["metrics"]["total"]["mean"] == 3.0
        assert first["metrics"]["total"]["sd"] == pytest.approx(7**0.5)
        low, high = first["metrics"]["total"]["interval"]
        assert 1.0 <= low < 3.0 < high <= 6.0
        assert second["metrics"]["total"]["runs"] == 3

    def test_differences_over_the_seeds_of_both(self, tmp_path: Path) -> None:
        (report,) = read_report(filled(tmp_path / "runs")).experiments
        (told,) = report.comparisons
        assert (told["against"], told["variant"], told["pairs"]) == ("b", "a", 2)
        assert told["difference"] == 2.0  # 2 - 1 and 6 - 3
        assert (told["higher"], told["p"], told["least_p"]) == (2, 0.5, 0.5)
        assert told["interval"] == [1.0, 3.0]
        assert "cannot be below 0.5 with 2 pairs" in report.limits()
        (other,) = read_report(tmp_path / "runs", against="a").experiments
        assert other.comparisons[0]["difference"] == -2.0

    def test_three_pairs_say_so(self, tmp_path: Path) -> None:
        for variant, more in (("a", 5), ("b", 0)):
            for seed in range(3):
                made(tmp_path / "runs", variant, seed, seed + more)
        (report,) = read_report(tmp_path / "runs").experiments
        assert report.comparisons[0]["p"] == 0.25
        assert "cannot be below 0.25 with 3 pairs" in report.limits()

    def test_one_pair_says_nothing(self, tmp_path: Path) -> None:
        made(tmp_path / "runs", "a", 0, 1.0)
        made(tmp_path / "runs", "b", 0, 2.0)
        (report,) = read_report(tmp_path / "runs").experiments
        (told,) = report.comparisons
        assert (told["p"], told["interval"], report.limits()) == (None, None, "")

    def test_what_is_not_done_is_listed(self, tmp_path: Path, cli: Cli) -> None:
        folder = filled(tmp_path / "runs")
        (folder / "broken-0").mkdir()
        (folder / "broken-0" / "run.json").write_text("{")
        document = cli.ok("experiment", "report", folder, "--json").json
        statuses = {
            (one["variant"], one["seed"]): one["status"]
            for one in document["experiments"][0]["runs"]
        }
        assert statuses["a", 3] == "failed"
        assert statuses["a", 4] == "interrupted"  # nobody runs it any more
        assert [Path(one["path"]).name for one in document["unreadable"]] == ["broken-0"]
        shown = cli.ok("experiment", "report", folder).out
        for word in ("it broke", "interrupted", "broken-0", "6 of 8 runs are done"):
            assert word in shown

    def test_folders_in_folders_and_the_same_name_twice(self, tmp_path: Path) -> None:
        for name, total in (("deep", 1.0), ("shallow", 2.0)):
            for seed in (0, 1):
                made(tmp_path / "all" / name, "memoria", seed, total)
                made(tmp_path / "all" / name, f"only {name}", seed, total)
        made(tmp_path / "all" / "x" / "y", "z", 0, 3.0, experiment="not-installed")
        report = read_report(tmp_path / "all")
        assert [one.name for one in report.experiments] == ["not-installed", "toy"]
        names = [row["variant"] for row in report.experiments[1].variants]
        assert sorted(names) == [
            "deep: memoria",
            "only deep",
            "only shallow",
            "shallow: memoria",
        ]
        assert report.experiments[0].variants[0]["metrics"]["total"]["mean"] == 3.0

    def test_real_runs(self, tmp_path: Path) -> None:
        plan = make_plan("toy", settings={"seeds": [0, 1], "models": ["plus", "minus", "wrong"]})
        plan.claim(tmp_path / "runs")
        inside(plan.specs(tmp_path / "runs"))
        (report,) = read_report(tmp_path / "runs").experiments
        assert [row["variant"] for row in report.variants] == ["plus", "minus", "wrong"]
        assert report.comparisons[0]["difference"] == 15.0  # 5 + 5 and 10 + 10
        assert [one.error for one in report.unfinished] == ["no such sign: wrong"] * 2

    def test_settings_that_differ_are_told(self, tmp_path: Path, cli: Cli) -> None:
        for steps in (2, 3):
            settings = {"steps": steps, "models": ["plus"], "seeds": [0]}
            inside(make_plan("toy", settings=settings).specs(tmp_path / "runs" / str(steps)))
        (report,) = read_report(tmp_path / "runs").experiments
        assert report.differing() == {"steps": [2, 3]}
        assert "steps: 2, 3." in cli.ok("experiment", "report", tmp_path / "runs").out

    def test_runs_are_compared_within_equal_conditions(self, tmp_path: Path, cli: Cli) -> None:
        for steps in (2, 3):
            settings = {"steps": steps, "models": ["plus", "minus"], "seeds": [0, 1]}
            plan = make_plan("toy", settings=settings)
            plan.claim(tmp_path / "runs" / str(steps))
            inside(plan.specs(tmp_path / "runs" / str(steps)))
        (report,) = read_report(tmp_path / "runs").experiments
        assert report.conditions == {"steps": [2, 3]}
        told = [(one["against"], one["variant"], one["difference"]) for one in report.comparisons]
        assert told == [("2: plus", "2: minus", 6.0), ("3: plus", "3: minus", 9.0)]
        assert all(one["peak_bytes"] > 10**6 for one in report.variants)
        shown = cli.ok("experiment", "report", tmp_path / "runs").out
        assert "with the same steps" in shown
        (report,) = read_report(tmp_path / "runs", against="3: minus").experiments
        assert [one["against"] for one in report.comparisons] == ["2: minus", "3: minus"]
        write_report(read_report(tmp_path / "runs"), tmp_path / "r.md", figures="svg")
        assert (tmp_path / "r-toy-by-steps.svg").is_file()

    def test_guessing_is_told(self, tmp_path: Path) -> None:
        experiment, config = EXPERIMENTS["farrecall"], make_plan("farrecall").config
        path = made(tmp_path / "runs", "memoria", 0, 1.0, experiment="farrecall")
        document = json.loads((path / "run.json").read_text())
        single = config.single("memoria", 0).model_dump(mode="json")
        network = {"parameters": 9, "inner": 3}
        (path / "run.json").write_text(
            json.dumps({**document, "config": single, "network": network, "peak_bytes": 2**21})
        )
        (path / "summary.json").write_text(json.dumps({"metrics": {"accuracy": 0.5}}))
        (report,) = read_report(tmp_path / "runs").experiments
        assert report.references == {"memoria": experiment.reference(config)} != {"memoria": {}}
        write_report(read_report(tmp_path / "runs"), tmp_path / "r.md")
        text = (tmp_path / "r.md").read_text("utf-8")
        assert "For comparison, accuracy of the answers: guessing 0.25." in text
        assert "| memoria | 1 | 0.5 | - | 1.5 | 2 MiB | 9 | 3 |" in text

    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        filled(tmp_path / "elsewhere")
        made(tmp_path / "runs", "a", 0, 1.0)
        (tmp_path / "runs" / "link").symlink_to(tmp_path / "elsewhere")
        assert len(read_report(tmp_path / "runs").experiments[0].records) == 1


HOSTILE = "<script>alert(1)</script> | `x` $\\frac$ \x1b[31m"


class Reader(HTMLParser):
    """The tags and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


class TestFiles:
    def test_a_page_holds_everything(self, tmp_path: Path, cli: Cli) -> None:
        folder = filled(tmp_path / "runs")
        made(folder, HOSTILE, 0, 1.0)
        made(folder, "c", 1, 5.0, experiment="../up" + HOSTILE)
        page = tmp_path / "report.html"
        cli.ok("experiment", "report", folder, "-o", page)
        reader = Reader()
        text = page.read_text("utf-8")
        reader.feed(text)
        names = [tag for tag, _ in reader.tags]
        assert "script" not in names
        assert "<script>alert(1)</script>" in reader.text
        assert "it broke" in reader.text
        pictures = [attrs["src"] for tag, attrs in reader.tags if tag == "img"]
        assert len(pictures) == 3
        assert all(str(one).startswith("data:image/png;base64,") for one in pictures)
        links = [v for _, attrs in reader.tags for k, v in attrs.items() if k in ("src", "href")]
        assert len(links) == len(pictures)

    def test_markdown_with_its_pictures_beside_it(self, tmp_path: Path) -> None:
        folder = filled(tmp_path / "runs")
        made(folder, HOSTILE, 0, 1.0)
        made(folder, "c", 1, 5.0, experiment="../up")
        (tmp_path / "out").mkdir()
        target = tmp_path / "out" / "report.md"
        assert write_report(read_report(folder), target) == []
        text = target.read_text("utf-8")
        assert "<script>" not in text.replace("\\<", "")
        pictures = re.findall(r"^!\[.*\]\(<(.*)>\)$", text, re.M)
        found = sorted(path.name for path in (tmp_path / "out").iterdir() if path != target)
        assert sorted(pictures) == found
        assert found == [
            "report-.._up-numbers.png",
            "report-toy-curves.png",
            "report-toy-numbers.png",
        ]
        header = next(line for line in text.splitlines() if line.startswith("| variant | runs"))
        table = text[text.index(header) :].split("\n\n")[0].splitlines()
        columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
        assert columns == {6}

    def test_latex_and_its_figures(self, tmp_path: Path, cli: Cli) -> None:
        folder = filled(tmp_path / "runs")
        made(folder, HOSTILE, 0, 1.0)
        (tmp_path / "out").mkdir()
        cli.ok("experiment", "report", folder, "-o", tmp_path / "out" / "report.tex")
        text = (tmp_path / "out" / "report.tex").read_text("utf-8")
        assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
        assert r"b & 3 & 3 $\pm$ 2.65 [1 to 6] & 1.5 & - \\" in text
        assert "total (higher is better)" in text
        assert r"$<$script$>$alert(1)$<$/script$>$ $|$ `x` \$\textbackslash{}frac\$ [31m &" in text
        shown = re.findall(r"\\includegraphics\[width=\\textwidth\]\{(.*)\}", text)
        assert shown == ["report-toy-curves.pdf", "report-toy-numbers.pdf"]
        for name in shown:
            assert (tmp_path / "out" / name).read_bytes().startswith(b"%PDF")

    def test_comma_separated_values(self, tmp_path: Path, cli: Cli) -> None:
        folder, target = filled(tmp_path / "runs"), tmp_path / "report.csv"
        cli.ok("experiment", "report", folder, "-o", target)
        with target.open(encoding="utf-8", newline="") as file:
            first, second = csv.DictReader(file)
        assert (first["variant"], first["better"], first["mean"]) == ("b", "higher", "3.0")
        assert (first["against"], first["difference"]) == ("", "")
        assert (second["against"], second["difference"], second["pairs"]) == ("b", "2.0", "2")
        assert float(second["welch_p"]) > 0.5  # the other one is better on average
        assert [path.name for path in tmp_path.glob("report*")] == ["report.csv"]

    def test_figures_are_the_same_every_time(self, tmp_path: Path) -> None:
        report = read_report(filled(tmp_path / "runs"))
        write_report(report, tmp_path / "r.csv", figures="svg")
        first = (tmp_path / "r-toy-numbers.svg").read_bytes()
        assert first.startswith(b"<?xml")
        write_report(report, tmp_path / "r.html", figures="svg")
        data = base64.b64encode(first).decode("ascii")
        assert f"data:image/svg+xml;base64,{data}" in (tmp_path / "r.html").read_text("utf-8")

    def test_json_is_what_the_terminal_gets(self, tmp_path: Path, cli: Cli) -> None:
        folder, target = filled(tmp_path / "runs"), tmp_path / "report.json"
        told = cli.ok("experiment", "report", folder, "-o", target, "--json").json
        assert told.pop("written") == str(target)
        assert json.loads(target.read_text()) == told

    def test_a_file_that_is_there_stays(self, tmp_path: Path, cli: Cli) -> None:
        folder, target = filled(tmp_path / "runs"), tmp_path / "report.md"
        target.write_text("mine")
        ran = cli("experiment", "report", folder, "-o", target)
        assert ran.code == 1
        assert "--force" in ran.err
        assert target.read_text() == "mine"
        cli.ok("experiment", "report", folder, "-o", target, "--force")
        cli.ok("experiment", "report", folder, "-o", target, "--force")
        assert target.read_text().startswith("# Runs in runs")

    def test_without_matplotlib(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import sys

        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        report = read_report(filled(tmp_path / "runs"))
        (note,) = write_report(report, tmp_path / "report.html")
        assert "viz" in note
        assert "<img" not in (tmp_path / "report.html").read_text()

    def test_rows_that_are_no_json_cost_the_plots_only(self, tmp_path: Path) -> None:
        folder = filled(tmp_path / "runs")
        (folder / "b-0" / "results.jsonl").write_text("{nonsense\n")
        (note,) = write_report(read_report(folder), tmp_path / "report.html")
        assert "not JSON" in note
        assert "<table>" in (tmp_path / "report.html").read_text()


class TestBadInput:
    @pytest.mark.parametrize(
        ("more", "code", "says"),
        [
            (["-o", "report.pdf"], 2, "ends with .md, .html, .tex, .csv, .json"),
            (["-o", "nowhere/report.md"], 1, "no folder"),
            (["--against", "c"], 2, "there are a, b"),
            (["--metric", "loss"], 2, "there are total"),
            (["--figures", "svg"], 2, "goes with a file"),
            (["-o", "a.html", "--figures", "pdf"], 2, "choose one of png, svg"),
            (["-o", "a.md", "--figures", "gif"], 2, "choose one of png, svg, pdf"),
        ],
    )
    def test_one_line(
        self,
        tmp_path: Path,
        cli: Cli,
        monkeypatch: pytest.MonkeyPatch,
        more: list[str],
        code: int,
        says: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        ran = cli("experiment", "report", filled(tmp_path / "runs"), *more)
        assert ran.code == code
        assert says in ran.err
        assert ran.err.count("\n") == 1

    def test_no_runs(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        for folder in (tmp_path / "empty", tmp_path / "nowhere"):
            with pytest.raises(StoreNotFoundError):
                read_report(folder)

    def test_an_unknown_variant(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="'c'"):
            read_report(filled(tmp_path / "runs"), against="c")

    def test_as_a_process(self, tmp_path: Path) -> None:
        folder = filled(tmp_path / "runs")
        ran: Any = process("experiment", "report", folder, "-o", tmp_path / "r.html", "--json")
        assert (ran.code, ran.err) == (0, "")
        assert ran.json["experiments"][0]["against"] == "b"
