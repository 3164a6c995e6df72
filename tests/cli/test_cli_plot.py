"""`memoria plot`: pictures and numbers from the command line, and its refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pandas
import pytest
from cli_tools import Cli, environment, fingerprint, process

from memoria.analysis import KINDS, analyse, open_chronicle
from memoria.plots import PICTURES

KEYS = "path at step first_step kind title x_label y_label note alt options frames out".split()


pytestmark = pytest.mark.usefixtures("notes")


@pytest.mark.parametrize("kind", KINDS)
def test_the_document_is_the_one_of_the_library(cli: Cli, kind: str) -> None:
    before = fingerprint(Path("notes"))
    document = cli.ok("plot", "notes", kind, "--json").json
    assert list(document) == KEYS
    with open_chronicle("notes") as chronicle:
        found = json.loads(json.dumps(analyse(chronicle, kind).document()))
        assert {key: document[key] for key in found} == found
        assert (document["step"], document["first_step"]) == (chronicle.steps, 1)
    assert document["path"] == os.path.abspath("notes")
    assert (document["at"], document["out"]) == (None, None)
    assert fingerprint(Path("notes")) == before


@pytest.mark.parametrize("form", PICTURES)
def test_a_picture_is_written(cli: Cli, form: str) -> None:
    name = f"sizes.{form}"
    document = cli.ok("plot", "notes", "sizes", "-o", name, "--json").json
    size = Path(name).stat().st_size
    assert document["out"] == {"path": os.path.abspath(name), "format": form, "bytes": size}
    assert document["frames"]["sizes"]["to_step"]
    assert cli("plot", "notes", "sizes", "-o", name).code == 1
    assert cli.ok("plot", "notes", "sizes", "-o", name, "--force").out.startswith("sizes of ")


def test_numbers_are_written(cli: Cli) -> None:
    for form, read in (("csv", pandas.read_csv), ("parquet", pandas.read_parquet)):
        cli.ok("plot", "notes", "raster", "-o", f"r.{form}")
        cli.ok("plot", "notes", "raster", "-o", f"e.{form}", "--frame", "engrams")
        document = cli.ok("plot", "notes", "raster", "--json").json
        for name, frame in (("r", "firings"), ("e", "engrams")):
            expected = pandas.DataFrame(document["frames"][frame])
            found = read(f"{name}.{form}")
            pandas.testing.assert_frame_equal(found, expected, check_dtype=False)


def test_people_see_the_first_rows(cli: Cli) -> None:
    lines = cli.ok("plot", "notes", "raster").out.splitlines()
    assert lines[0].startswith("Firings in steps 1 to")
    assert lines[1].split() == ["step", "id", "row", "memory", "gain"]
    assert len(lines) == 13
    assert lines[-1].endswith("more rows: --json, or -o FILE.csv, has all")
    cli.ok("init", "new")
    assert cli.ok("plot", "new", "sizes").out.splitlines()[-1] == "nothing to show"
    cli.ok("plot", "new", "survival", "-o", "new.svg")
    assert "nothing to show" in Path("new.svg").read_text()


def test_the_past_is_shown_as_it_was(cli: Cli) -> None:
    then = cli.ok("plot", "notes@3", "survival", "--json").json
    assert (then["at"], then["step"]) == (3, 3)
    assert then["frames"]["survival"]["to_step"] == [1, 2, 3]
    cli.ok("snapshot", "create", "notes", "now")
    assert cli.ok("plot", "notes@now", "survival", "--json").json["at"] == "now"


def test_a_zip_can_be_looked_at(cli: Cli) -> None:
    cli.ok("export", "notes", "notes.zip")
    here = cli.ok("plot", "notes", "sizes", "--json").json
    there = cli.ok("plot", "notes.zip", "sizes", "--json").json
    assert there["frames"] == here["frames"]
    assert cli("plot", "notes.zip", "sizes", "-o", "notes.zip", "--force").code == 2


def test_a_store_on_s3_can_be_looked_at(
    cli: Cli, s3: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.items():
        monkeypatch.setenv(name, value)
    cli.ok("push", "notes", "s3://memories/plotted")
    there = cli.ok("plot", "s3://memories/plotted", "sizes", "-o", "far.svg", "--json").json
    here = cli.ok("plot", "notes", "sizes", "-o", "near.svg", "--json").json
    assert there["path"] == "s3://memories/plotted"
    assert there["frames"] == here["frames"]
    assert Path("far.svg").read_bytes() == Path("near.svg").read_bytes()


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("notes nonsense", 2, "nonsense: no such kind; hint: the kinds are survival,"),
        ("notes sizes -o a.pdf", 2, "a.pdf: the extension says neither picture nor numbers; hint:"),
        ("notes sizes -o plain", 2, "plain: the extension says neither"),
        ("notes sizes --max-lag 3", 2, "--max-lag: not for sizes; hint: it takes --lane, --bins"),
        ("notes raster --from 9 --to 2", 2, "steps 9 to 2: not there"),
        ("notes raster --engram 12345", 2, "engram 12345: there is none"),
        ("notes lifespans --by luck", 2, "by = 'luck': unknown"),
        ("notes sizes --lane 4", 2, "lane = 4: there is none"),
        ("notes sizes --frame x", 2, "frame = 'x': there is none; hint: there are: sizes"),
        ("notes sizes --frame sizes -o a.png", 2, "--frame with .png: it holds all"),
        ("notes sizes -o notes/a.png", 2, "lies in the store itself"),
        ("notes sizes -o none/a.png", 1, "there is no folder"),
        ("notes@99 sizes", 2, "step = 99: not there"),
        ("nowhere sizes", 10, "no store"),
        ("notes sizes --bins 0", 2, "--bins"),
        ("notes", 2, "KIND"),
    ],
)
def test_what_cannot_be_shown_is_refused(cli: Cli, line: str, code: int, message: str) -> None:
    before = fingerprint(Path("notes"))
    ran = cli("plot", *line.split())
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert fingerprint(Path("notes")) == before


def test_the_help_lists_the_kinds(cli: Cli) -> None:
    text = " ".join(cli.ok("plot", "--help").out.split())
    for kind in KINDS.values():
        assert f"{kind.name}: {kind.summary}" in text


def test_kinds_are_completed_in_the_shell(cli: Cli) -> None:
    words = {"_MEMORIA_COMPLETE": "complete_bash", "COMP_WORDS": "memoria plot notes s"}
    ran = process(variables={**environment(), **words, "COMP_CWORD": "3"})
    assert ran.out.split() == ["survival", "sizes"]


def test_numbers_need_no_heavy_library(cli: Cli) -> None:
    """Nor do the help and the refusals."""
    import subprocess
    import sys

    code = (
        "import sys; from memoria_cli.__main__ import main\n"
        "main('plot notes sizes --json'.split())\n"
        "print([n for n in ('torch', 'matplotlib', 'plotly', 'pandas') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
