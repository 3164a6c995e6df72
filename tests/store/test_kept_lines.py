"""Large files of records are synced line by line, with the outcome of reading them whole."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_tools import Cli

from memoria.errors import InputError
from memoria.io import record_lines
from memoria.io.forms import json_records
from memoria.io.read_options import ReadOptions
from memoria.io.record_lines import RecordLines, scan_lines, units_of_lines
from memoria.io.texts import read_texts
from memoria.store.kept_lines import KeptLines


def record(number: int, chance: random.Random) -> str:
    words = [chance.choice("bees sing clocks run rain falls owls sleep".split()) for _ in range(4)]
    text = " ".join(words).capitalize() + f" {number}. And {words[0]} again."
    return chance.choice(
        [
            json.dumps({"text": text, "time": 1_700_000_000_000 + number}),
            json.dumps({"message": {"content": text}, "who": words[1]}),
            json.dumps({"messages": [{"role": "user", "content": text}, {"content": "Yes."}]}),
            json.dumps({"text": text, "source": "elsewhere", "offset": number}),
            "",
        ]
    )


def edited(lines: list[str], chance: random.Random) -> list[str]:
    """The lines after one edit of someone who keeps a chat."""
    at = chance.randrange(len(lines) + 1)
    new = [record(chance.randrange(10**6), chance) for _ in range(chance.randint(1, 3))]
    return chance.choice(
        [
            lines[:at] + new + lines[at:],
            lines[:at] + lines[at + 2 :],
            new + lines,
            lines + new,
            lines[at:] + lines[:at],
            lines + lines[:3],
        ]
    )


def living(cli: Cli, store: str) -> list[tuple[object, ...]]:
    told = cli.ok("list", store, "--json", "-n", "0").json["engrams"]
    return sorted((one["text"], one["time"] or 0, json.dumps(one["meta"])) for one in told)


@pytest.mark.parametrize("seed", range(3))
def test_line_by_line_is_as_whole(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    lines = [record(number, chance) for number in range(30)] + ['{"text": "One stays."}']
    for store in ("whole", "lines"):
        cli.ok("init", store, "--backbone", "hash")
    for turn in range(8):
        Path("chat.jsonl").write_text("\n".join(lines) + "\n" * chance.randint(0, 1))
        said = {}
        for store, large in (("whole", 1 << 40), ("lines", 0)):
            monkeypatch.setattr(record_lines, "LARGE", large)
            said[store] = cli.ok("step", store, "chat.jsonl", "--sync", "--json").json
        for store in said:
            for key in ("path", "digest", "timestep"):
                said[store].pop(key)
        assert said["whole"] == said["lines"], turn
        assert living(cli, "whole") == living(cli, "lines")
        lines = edited(lines, chance)
    assert list(Path("lines/index").glob("lines-*.npz"))
    assert not list(Path("whole/index").glob("lines-*.npz"))
    cli.ok("verify", "lines")


def test_known_lines_are_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chat, options = tmp_path / "chat.jsonl", ReadOptions()
    chat.write_text("".join(f'{{"text": "Number {number}. Yes."}}\n' for number in range(50)))
    first = scan_lines(str(chat), options, RecordLines(), pytest.fail)
    units = list(read_texts(chat, options))
    assert first.hashes == b"".join(unit.hash for unit in units)
    assert first.offsets.tolist() == [unit.offset for unit in units]

    parsed = []
    real = record_lines.read_part
    monkeypatch.setattr(record_lines, "read_part", lambda *a: (parsed.append(a[0]), real(*a))[1])
    chat.write_text('{"text": "New."}\n' + chat.read_text().replace("Number 7.", "Seven."))
    again = scan_lines(str(chat), options, first, pytest.fail)
    assert [b"New" in parsed[0], b"Seven" in parsed[1], len(parsed)] == [True, True, 2]
    assert len(again.ends) == 51


def test_a_bad_line_is_told_every_time(tmp_path: Path) -> None:
    chat, options = tmp_path / "chat.jsonl", ReadOptions(skip_bad=True)
    chat.write_text('{"text": "One."}\n{"text": 5}\n')
    told: list[str] = []
    lines = scan_lines(str(chat), options, RecordLines(), told.append)
    scan_lines(str(chat), options, lines, told.append)
    assert len(told) == 2


def test_what_is_kept_and_unsound_is_not_believed(tmp_path: Path) -> None:
    kept = KeptLines(tmp_path / "index", "")
    one = np.array([1])
    lines = RecordLines(bytes(range(16)), one, one, bytes(16), one, bytes(16), np.array([0]))
    kept.keep("/a", lines)
    assert kept.of("/a").digests == lines.digests
    assert kept.of("/a").ends.tolist() == [1]
    assert not KeptLines(tmp_path / "index", "{}").of("/a").digests
    (place,) = (tmp_path / "index").iterdir()
    whole = place.read_bytes()
    for at in range(0, len(whole), 7):
        place.write_bytes(whole[:at])
        assert not kept.of("/a").digests
    for wrong in (
        {"ends": np.array([2])},
        {"sizes": np.array([0])},
        {"groups": np.array([2])},
        {"groups": one[:0], "group_digests": b""},
        {"group_digests": bytes(32)},
    ):
        kept.keep("/a", replace(lines, **wrong))
        assert not kept.of("/a").digests


@pytest.mark.parametrize("seed", range(3))
def test_groups_of_lines_that_are_known_are_as_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(record_lines, "_BLOCK", 50)
    monkeypatch.setattr(record_lines, "_GROUP", 3)
    chance, chat = random.Random(seed), tmp_path / "chat.jsonl"
    options = ReadOptions(skip_bad=True)
    data, known = b"", RecordLines()
    for _ in range(60):
        cuts = sorted(chance.randrange(len(data) + 1) for _ in range(4))
        new = chance.choice([b'{"text": "One."}\n', b"\n", b'{"text": "', b'Two."}', b'"}\n', b""])
        front, back = data[: cuts[0]], data[cuts[1] :]
        data = chance.choice([front + new + back, data + new, new * 3 + data, back + new + front])
        chat.write_bytes(chance.choice([b"", b"", b"\xef\xbb\xbf"]) + data)
        known = scan_lines(str(chat), options, known, lambda line: None)
        anew = scan_lines(str(chat), options, RecordLines(), lambda line: None)
        for name in ("digests", "hashes"):
            assert getattr(known, name) == getattr(anew, name)
        for name in ("sizes", "ends", "offsets"):
            assert getattr(known, name).tolist() == getattr(anew, name).tolist()
        assert known.groups[-1:].tolist() == [len(known.sizes)][: len(known.sizes)]


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_lines_of_any_size_are_those_of_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(record_lines, "_BLOCK", 64)
    chat, options = tmp_path / "chat.jsonl", ReadOptions()
    made = [json.dumps({"text": "Bee. " * size}) for size in (1, 50, 2, 13, 1)]
    chat.write_text("\ufeff" + ("\n\n" if end != "\r\n" else "\r\n").join(made) + end)
    units = list(read_texts(chat, options))
    known = RecordLines()
    for _ in range(2):
        known = scan_lines(str(chat), options, known, pytest.fail)
        assert known.hashes == b"".join(unit.hash for unit in units)
        wanted = list(range(0, len(units), 3))
        found = dict(units_of_lines(str(chat), options, known, wanted))
        assert found == {unit: units[unit] for unit in wanted}


def test_a_line_that_is_too_long_is_refused_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (record_lines, json_records):
        monkeypatch.setattr(module, "LINE", 100)
    monkeypatch.setattr(record_lines, "_BLOCK", 64)
    chat = tmp_path / "chat.jsonl"
    chat.write_text('{"text": "One."}\n{"text": "' + "x" * 500 + '"}\n{"text": "Two."}\n')
    with pytest.raises(InputError, match="line 2 has more than"):
        scan_lines(str(chat), ReadOptions(), RecordLines(), pytest.fail)
    told: list[str] = []
    lines = scan_lines(str(chat), ReadOptions(skip_bad=True), RecordLines(), told.append)
    assert (len(told), lines.ends.tolist()) == (1, [1, 1, 2])
