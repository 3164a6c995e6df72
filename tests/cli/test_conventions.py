"""The conventions of the command line (docs/reference/conventions.md), held by every verb."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_tools import ROOT, Cli, command_line, environment, fingerprint

from memoria import __version__
from memoria_cli import boundary
from memoria_cli.app import VERBS, command
from memoria_cli.help_page import help_page, is_group
from memoria_cli.suggestions import suggest_verb
from memoria_cli.terminal import output
from memoria_cli.terminal.help_lines import help_lines, wrapped

PAGE = ROOT / "docs" / "reference" / "conventions.md"
FAMILIES = ["Keep", "Ask", "Look", "Undo", "Move", "Check", "Serve", "Study"]
DESTRUCTIVE = {  # and what follows it
    "forget": ["notes", "26"],
    "undo": ["notes"],
    "compact": ["notes"],
    "snapshot restore": ["notes", "early"],
    "snapshot delete": ["notes", "early"],
}


def _leaves() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in VERBS:
        made = command().commands[name]
        below = made.commands.items() if is_group(made) else ()
        found |= {f"{name} {one}": verb for one, verb in below} or {name: made}
    return found


LEAVES = _leaves()


def names_of(verb: str) -> list[set[str]]:
    """The names of each option of a verb."""
    return [
        {*one.opts, *one.secondary_opts}
        for one in LEAVES[verb].params
        if one.param_type_name == "option"
    ]


def test_every_point_of_the_page_has_a_test_that_exists() -> None:
    rows = re.findall(r"^\| (\d+) \|.*\| `(tests/\S+)` \|$", PAGE.read_text("utf-8"), re.M)
    assert [int(number) for number, _ in rows] == [*range(1, 45)]
    for _, place in rows:
        file, _, name = place.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text("utf-8"), place


# Options


@pytest.mark.parametrize("verb", LEAVES)
def test_every_verb_has_the_general_options(verb: str) -> None:
    found = names_of(verb)
    for names in ({"--help", "-h"}, {"--version", "-V"}, {"--quiet", "-q"}, {"--verbose", "-v"}):
        assert names in found
    assert {"--json"} in found


@pytest.mark.parametrize("verb", LEAVES)
def test_options_are_spelt_alike_in_every_verb(verb: str) -> None:
    pairs = {"--output": "-o", "--limit": "-n", "--yes": "-y", "--jobs": "-j", "--quiet": "-q"}
    for names in names_of(verb):
        for long, short in pairs.items():
            assert (long in names) == (short in names), (verb, names)
        assert names.isdisjoint({"--out", "--overwrite", "--silent", "--noconfirm"})
        assert all(re.fullmatch(r"-\w|--[a-z][a-z0-9-]*", name) for name in names), names


@pytest.mark.usefixtures("notes")
def test_quiet_says_results_only_and_verbose_more(cli: Cli) -> None:
    usual = cli("list", "notes", "-n", 2, "--json")
    quiet, verbose = (cli("list", "notes", "-n", 2, "--json", one) for one in ("-q", "-v"))
    assert usual.out == quiet.out == verbose.out
    assert quiet.err == ""
    assert verbose.err.startswith(usual.err)
    assert re.search(r"took \d+\.\d\d s", verbose.err)
    assert cli("-q", "list", "notes", "-n", 2).err == ""
    assert cli("list", "nowhere", "-q").err.startswith("memoria: ")


def test_version_everywhere(cli: Cli) -> None:
    assert cli.ok("list", "-V", "--json").json == {"version": __version__}
    assert cli.ok("-V").out == cli.ok("list", "-V").out == cli.ok("--version").out


@pytest.mark.usefixtures("notes")
def test_limit_is_ten_for_people_and_zero_is_all(cli: Cli) -> None:
    count = cli.ok("list", "notes", "--type", "all", "--json").json["count"]
    assert count == 27
    for line in ("list notes --type all", "inspect notes --history"):
        assert len(cli.ok(*line.split()).out.splitlines()) == 2 + 10
    assert len(cli.ok("list", "notes", "--type", "all", "-n", 0).out.splitlines()) == 2 + count
    assert len(cli.ok("ask", "notes", "the cat and the moon", "--json").json["answers"]) <= 10
    assert cli("list", "notes", "-n", -1).code == 2


@pytest.mark.usefixtures("notes")
def test_the_best_come_first(cli: Cli) -> None:
    scores = [one["score"] for one in cli.ok("ask", "notes", "cat", "--json").json["answers"]]
    assert scores == sorted(scores, reverse=True)
    shown = cli.ok("remind", "notes", "--peek", "--cue-text", "The cat sat.").out.splitlines()[2:]
    found = [float(line.split()[0]) for line in shown]
    assert found == sorted(found, reverse=True)
    assert len(found) <= 10


# What destroys asks


@pytest.mark.parametrize("verb", LEAVES)
def test_what_asks_has_both_options(verb: str) -> None:
    has = {name for names in names_of(verb) for name in names}
    assert ("--yes" in has) == (verb in DESTRUCTIVE)
    if verb in DESTRUCTIVE:
        assert "--dry-run" in has


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize("verb", DESTRUCTIVE)
def test_what_destroys_asks(cli: Cli, verb: str) -> None:
    if verb.startswith("snapshot"):
        cli.ok("snapshot", "create", "notes@3", "early")
    before = fingerprint(Path("notes"))
    line = [*verb.split(), *DESTRUCTIVE[verb]]
    asked = cli(*line)
    assert (asked.code, asked.out, asked.err.count("\n")) == (2, "", 1)
    assert "nobody is there to answer" in asked.err
    assert "--yes" in asked.err
    assert cli.ok(*line, "--dry-run", "--json").json["dry_run"] is True
    assert fingerprint(Path("notes")) == before
    assert cli.ok(*line, "--yes", "--json").json["dry_run"] is False
    assert fingerprint(Path("notes")) != before


# Help


def pages() -> list[Any]:
    found = {"memoria": command(), **{f"memoria {name}": one for name, one in LEAVES.items()}}
    return [help_page(one, path) for path, one in found.items()]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_help_fits_eighty_columns(page: Any) -> None:
    lines = help_lines(page, 80)
    examples = {f"  {example}" for example in page.examples}
    assert [line for line in lines if len(line) > 80 and line not in examples] == []
    assert not any("<bool>" in line or "<str>" in line for line in lines)
    for text in (*page.paragraphs, *(one.text for part in page.sections for one in part.entries)):
        for width in (80, 48):
            last = wrapped(text, width)[-1:]
            assert not last or " " in last[0] or " " not in text, text


def test_verbs_are_grouped_by_what_one_wants(cli: Cli) -> None:
    titles = re.findall(r"^(\w+):$", cli.ok("--help").out, re.M)
    shown = [title for title in titles if title in FAMILIES]
    assert [*dict.fromkeys(shown)] == shown
    assert {*shown} == {VERBS[verb].place.partition(".")[0].capitalize() for verb in VERBS}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_told_on_one_line(verb: str) -> None:
    assert len(VERBS[verb].summary) <= 66
    (line,) = [
        line
        for line in help_lines(help_page(command(), "memoria"), 80)
        if line.startswith(f"  {verb} ")
    ]
    assert line.endswith(VERBS[verb].summary)


def test_help_into_a_closed_pipe_ends_well_and_is_there_without_a_width() -> None:
    line = " ".join(command_line("--help"))
    for width in ("80", "0"):
        done = subprocess.run(
            ["bash", "-c", f"{line} | head -1; exit ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            env=environment(COLUMNS=width),
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: memoria VERB")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("search", "ask"),
        ("find", "ask"),
        ("query", "ask"),
        ("rm", "forget"),
        ("delete", "forget"),
        ("ls", "list"),
        ("revert", "undo"),
        ("fsck", "verify"),
        ("inspct", "inspect"),
        ("snapshots", "snapshot"),
    ],
)
def test_a_wrong_verb_is_answered_by_the_right_one(cli: Cli, word: str, meant: str) -> None:
    ran = cli(word, "notes")
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert f"did you mean `memoria {meant}`?" in ran.err
    assert meant in VERBS


def test_no_suggestion_names_what_is_not_there() -> None:
    assert suggest_verb("upload", ["ask"], False) is None
    assert suggest_verb("rm", ["delete", "list"], True) == "delete"


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("list notes --limt 3", "--limit"),
        ("list notes --max 3", "--limit"),
        ("encode x --out y", "--output"),
        ("export notes x --overwrite", "--force"),
        ("forget notes 1 --preview", "--dry-run"),
        ("snapshot delete notes x --no-confirm", "--yes"),
    ],
)
def test_a_wrong_option_is_answered_by_the_right_one(cli: Cli, line: str, meant: str) -> None:
    ran = cli(*line.split())
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert f"did you mean {meant}?" in ran.err


# What people see


@pytest.mark.usefixtures("notes")
def test_inspect_fits_a_small_screen(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cli.ok("add", "notes", "--text", "A step under way.")
    lines = cli.ok("inspect", "notes").out.splitlines()
    assert len(lines) <= 21  # and three for the frame and the prompt
    assert max(map(len, lines)) <= 80
    assert len(cli.ok("inspect", "notes", "--full").out.splitlines()) > 24


def test_ids_stand_in_line(cli: Cli) -> None:
    cli.ok("init", "s", "--backbone", "hash", "--wm-length", 4)
    cli.ok("step", "s", "--text", "The cat sat. The dog ran. It rained. The cat slept. " * 6)
    for line in ("inspect s --edges -n 0", "inspect s 3 -n 0"):
        shown = cli.ok(*line.split()).out
        ends = {
            found.end(1) for found in re.finditer(r"^  [\d.]+ +\d+ +(?:0 +)?( *\d+) ", shown, re.M)
        }
        columns = {end - shown.rfind("\n", 0, end) for end in ends}
        assert len(columns) == 1, shown


@pytest.mark.usefixtures("notes")
def test_list_leaves_most_of_the_width_to_the_text(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    cli.ok("step", "notes", "--text", "word " * 60)
    newest = cli.ok("list", "notes", "--sort", "id", "--reverse", "-n", 1, "-q").out.splitlines()[
        -1
    ]
    assert len(newest) <= 80
    assert newest.count("word") * 5 > 40


def test_progress_tells_how_long_it_will_take(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(output, "_SPARSE_SECONDS", 5.0)
    output.prepare()
    with output.progress("stepping", "steps") as show:
        for done in range(0, 41, 2):
            show(done, 100)
            now += 1.0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4  # of twenty seconds
    assert lines[0] == "stepping: 10 of 100 steps, about 45 s left"
    output.set_loudness(output.Loudness.QUIET)
    with output.progress("stepping", "steps") as show:
        show(1, 2)
        now += 60.0
        show(2, 2)
    assert capsys.readouterr().err == ""


def test_one_is_singular(cli: Cli) -> None:
    cli.ok("init", "one", "--backbone", "hash")
    assert cli.ok("add", "one", "--text", "One.").out.startswith("added 1 engram;")
    cli.ok("remind", "one")
    cli.ok("adjust", "one")
    assert cli.ok("step", "one", "--text", "Two.").out.startswith("1 step, 1 engram added")
    assert "2 engrams at step 2" in cli.ok("export", "one", "one.zip").out


# Streams


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize(
    ("line", "begins"),
    [
        ("export notes -", b'{"id": '),
        ("plot notes sizes -o -", b"\x89PNG"),
        ("plot notes sizes -o - --format csv", b"from_step"),
        ("encode diary.txt --backbone hash -o -", b"\x93NUMPY"),
        ("report notes -o -", b"<!doctype html>"),
    ],
)
def test_a_dash_is_standard_output(line: str, begins: bytes) -> None:
    done = subprocess.run(
        command_line(*line.split()), capture_output=True, env=environment(), timeout=120, check=True
    )
    assert done.stdout.startswith(begins)
    assert b"standard output" in done.stderr
    if begins == b"\x93NUMPY":
        Path("v.npy").write_bytes(done.stdout)
        assert np.load("v.npy").ndim == 2
    if begins.startswith(b"<"):
        assert done.stdout.rstrip().endswith(b"</html>")


def test_python_warnings_are_not_for_users(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(arguments: Any) -> int:
        warnings.warn("for developers", FutureWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(boundary, "_call", warn)
    monkeypatch.setattr(sys, "warnoptions", [])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert cli("list").code == 0
    assert seen == []


@pytest.mark.usefixtures("notes")
def test_documents_go_through_jq(cli: Cli) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    line = " ".join(command_line("ask", "notes", "moon", "--json"))
    done = subprocess.run(
        ["bash", "-c", f"{line} | jq -r '.answers[0].text'"],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=True,
    )
    best = cli.ok("ask", "notes", "moon", "--json").json["answers"][0]
    assert done.stdout == f"{best['text']}\n"


@pytest.mark.usefixtures("notes")
def test_a_list_is_read_again(cli: Cli) -> None:
    cli.ok("init", "other", "--backbone", "hash", "--wm-length", 2)
    lister, reader = (
        " ".join(command_line(*words))
        for words in (("list", "notes", "--format", "jsonl"), ("step", "other", "-"))
    )
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{lister} | {reader}"],
        env=environment(),
        timeout=60,
        check=True,
        capture_output=True,
    )
    texts = [
        [one["text"] for one in cli.ok("list", store, "--json").json["engrams"]]
        for store in ("notes", "other")
    ]
    assert texts[0] == texts[1]


# Errors


@pytest.mark.usefixtures("notes")
@pytest.mark.parametrize(
    "line", ["pin notes {}", "inspect notes {}", "plot notes raster --engram {}"]
)
def test_an_id_beyond_64_bits_is_one_line(cli: Cli, line: str) -> None:
    for number in (2**63, 10**40):
        ran = cli(*line.format(number).split())
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "beyond 64 bits" in ran.err


@pytest.mark.usefixtures("notes")
def test_faulty_json_has_one_line_number(cli: Cli) -> None:
    Path("bad.jsonl").write_text('{"text": "a"}\n{"text"\n')
    ran = cli("step", "notes", "bad.jsonl", "--json")
    message = json.loads(ran.err)["error"]["message"]
    assert message.count("line") == 1
    assert "line 2" in message
    assert "column 8" in message


@pytest.mark.parametrize("system", ["win32", "cygwin"])
def test_windows_is_refused_in_one_line(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    ran = cli("list", "notes")
    assert (ran.code, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert "Windows is not supported" in ran.err


def test_macos_is_tested() -> None:
    assert "macos-latest" in (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
