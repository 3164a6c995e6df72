"""`verify` against forgers: consistent checksums, and one number that cannot be right."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from spec_reader import SpecReader
from verify_tools import STORES, busy_store, files_of

from forging import Change, add_to, forge, forge_root, put  # isort: skip

from memoria.store import MemoryStore
from memoria.store.verify import Finding, repair, verify

GOLDEN = STORES / "samples" / "sound" / "long-term-and-forgotten"  # 3 lanes, 64 steps, state of 60
TEXTS = STORES / "samples" / "sound" / "texts-with-sources"


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return busy_store(tmp_path_factory.mktemp("busy") / "store")


@pytest.fixture
def store(busy: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(busy, tmp_path / "store"))


@pytest.fixture
def golden(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden"))


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TEXTS, tmp_path / "texts"))


def found(path: Path) -> list[Finding]:
    return list(verify(path).findings)


def named(findings: list[Finding], kind: str) -> list[tuple[str | None, int | None, int | None]]:
    """(array, lane, step) of the findings of a kind."""
    return [(one.array, one.lane, one.step) for one in findings if one.kind == kind]


def words(findings: list[Finding], kind: str) -> str:
    return " | ".join(one.message for one in findings if one.kind == kind)


# -- the log ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [0, 17, 383, 384, 500])
def test_an_id_of_the_log(golden: Path, row: int) -> None:
    """Whatever engram it becomes, and though it might have fired."""
    reader = SpecReader(GOLDEN)
    step = int(np.searchsorted(reader.steps[:, 2], row, side="right")) + 1
    forge(golden, "log/ids", add_to(row, 3))
    findings = found(golden)
    assert ("log/steps", None, step) in named(findings, "digest")
    assert verify(golden).sound_step == step - 1


def test_ids_that_never_were(golden: Path) -> None:
    step = int(np.searchsorted(SpecReader(GOLDEN).steps[:, 2], 100, side="right")) + 1
    for wrong in (-1, 10**12, -(2**63), 2**63 - 1):
        forge(golden, "log/ids", put(100, wrong))
        assert ("log/ids", step) in [(one.array, one.step) for one in found(golden)]


def test_the_order_of_the_reminded(store: Path) -> None:
    reader = SpecReader(store)
    for step in range(10, 20):
        first, last = reader.log_after(step - 1), reader.log_after(step)
        if last - first > 6:
            break

    def swap(values: Any) -> None:
        values[last - 2 : last] = values[last - 2 : last][::-1]

    forge(store, "log/ids", swap)
    assert ("log/ids", 1, step) in named(found(store), "log")
    assert "out of order" in words(found(store), "log")


def test_nobody_fires_twice_in_a_step(store: Path) -> None:
    reader = SpecReader(store)
    last = reader.log_after(15)
    forge(store, "log/ids", put(last - 1, reader.ids[last - 2]))
    assert f"engram {reader.ids[last - 2]} fired twice in the step" in words(found(store), "log")


def test_nobody_fires_after_its_death(golden: Path) -> None:
    reader = SpecReader(golden)
    state = reader.state(30)
    first, last = reader.log_after(30), reader.log_after(31)
    fired = set(reader.ids[first:last].tolist())
    at = last - 1  # of lane 2, the oldest of its short-term ones
    dead = max(i for i in range(2, 60, 3) if i not in state.engrams and i not in fired)
    forge(golden, "log/ids", put(at, dead))
    text = words(found(golden), "log")
    assert f"engram {dead} fired after it was forgotten" in text


def test_an_expiry_of_the_log(golden: Path) -> None:
    reader = SpecReader(golden)
    row = reader.log_after(40)  # the first engram created in step 41
    forge(golden, "log/expiry", add_to(row, 1.0))
    findings = found(golden)
    assert named(findings, "log") == [("log/expiry", 0, 41)]
    assert f"has expiry {40 + 6.5 + 1}, not {40 + 6.5}" in words(findings, "log")
    assert named(findings, "digest") == [("log/steps", None, 41)]


def test_an_expiry_that_is_no_number(golden: Path) -> None:
    forge(golden, "log/expiry", put(200, np.nan))
    assert "has no expiry" in words(found(golden), "log")


def test_an_expiry_of_a_reminded_engram_contradicts_state_and_digest(golden: Path) -> None:
    reader = SpecReader(golden)
    living = reader.state(60).engrams
    fired = [e for e in range(reader.log_after(60)) if int(reader.ids[e]) in living]
    row = fired[-1]
    engram = int(reader.ids[row])
    forge(golden, "log/expiry", add_to(row, 0.25))
    findings = found(golden)
    assert named(findings, "digest") == [("log/steps", None, 60)]
    states = named(findings, "state")
    assert ("state/1/expiry", engram % 3, 60) in states
    assert ("state/1/lifespan", engram % 3, 60) in states
    assert len(states) == 2
    assert verify(golden).sound_step == 59


# -- the table of steps ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "amount", "lane", "said"),
    [
        (1, -(10**6), None, "column 1 falls"),
        (1, 10**6, None, "column 1 counts"),
        (1, -1, None, "no multiple of 3 lanes"),
        (2, -(10**6), None, "column 2 falls"),
        (2, 10**6, None, "column 2 counts"),
        (8, -60, 1, "column 8 falls"),
        (8, 10**6, 1, "column 8 is"),
    ],
)
def test_a_row_of_the_table(
    golden: Path, column: int, amount: int, lane: int | None, said: str
) -> None:
    forge(golden, "log/steps", add_to((32, column), amount))
    report = verify(golden)
    assert ("log/steps", lane, 33) in named(list(report.findings), "steps")
    assert said in words(list(report.findings), "steps")
    assert report.sound_step == 32


@pytest.mark.parametrize("column", [3, 6])
def test_a_recorded_digest(golden: Path, column: int) -> None:
    """The step after it begins with the wrong one."""
    forge(golden, "log/steps", add_to((32, column), 1))
    findings = found(golden)
    assert [(one.kind, one.step) for one in findings] == [("digest", 33), ("digest", 34)]
    assert verify(golden).sound_step == 32


def test_a_boundary_of_short_term_memory(golden: Path) -> None:
    forge(golden, "log/steps", add_to((59, 7), 1))
    findings = found(golden)
    assert named(findings, "digest") == [("log/steps", None, 60)]
    assert named(findings, "state") == [("state/1/types", 0, 60)]


def test_the_time_is_information_only(golden: Path) -> None:
    forge(golden, "log/steps", put((5, 0), 0))
    assert found(golden) == []


def test_entries_that_no_step_counts(golden: Path) -> None:
    for name in ("log/ids", "log/expiry"):
        forge(golden, name, lambda values: np.append(values, values[-1:]))
    assert "there are 1302 entries, after step 64 1301" in words(found(golden), "log")


def test_a_vector(golden: Path) -> None:
    forge(golden, "vectors", add_to((100, 3), 0.5))
    assert named(found(golden), "digest") == [("log/steps", None, 100 // 6 + 1)]
    forge(golden, "vectors", put((100, 3), np.inf))
    assert named(found(golden), "vector") == [("vectors", 100 % 3, 100 // 6 + 1)]


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put((20, 0), 1), "ends at 1, not within"),
        (add_to((20, 0), 10**6), "ends at 1000"),
        (put((20, 1), 1), "the meta ends at 1, not within"),
        (put((20, 2), 2), "source is number 2, there are 2"),
        (put((20, 2), -7), "source is number -7"),
        (put((20, 3), -1), "its place is -1 in source"),
        (put((20, 3), -5), "its place is -5 in source"),
        (put((20, 4), -2), "its time is -2"),
    ],
)
def test_the_index_of_texts(texts: Path, change: Change, said: str) -> None:
    forge(texts, "texts/index", change)
    report = verify(texts)
    assert said in words(list(report.findings), "texts")
    reader = SpecReader(TEXTS)
    step = int(np.searchsorted(reader.steps[:, 1], 20, side="right")) + 1
    assert ("texts/index", 0, step) in named(list(report.findings), "texts")
    assert report.sound_step < step


def test_a_meta_that_is_not_json(texts: Path) -> None:
    forge(texts, "texts/index", add_to((20, 1), 2))
    assert "engram 20: the meta is not JSON" in words(found(texts), "texts")


def test_a_text_that_is_no_utf8(texts: Path) -> None:
    forge(texts, "texts/bytes", put(500, 0xFF))
    reader = SpecReader(TEXTS)
    engram = int(np.searchsorted(reader.index[:, 0], 500, side="right"))
    step = int(np.searchsorted(reader.steps[:, 1], engram, side="right")) + 1
    assert ("texts/bytes", 0, step) in named(found(texts), "texts")


def test_a_text_that_begins_within_a_character(texts: Path) -> None:
    """The bytes are UTF-8 as a whole, and the two texts are not."""
    reader = SpecReader(TEXTS)
    at = reader.text_bytes.index("é".encode()) + 1
    engram = int(np.searchsorted(reader.index[:, 0], at, side="right"))

    def cut(values: Any) -> None:
        values[engram - 1, :2] = at

    forge(texts, "texts/index", cut)
    text = words(found(texts), "texts")
    assert f"engram {engram - 1}: the text is not UTF-8" in text
    assert f"engram {engram}: the text is not UTF-8" in text


def test_texts_that_belong_to_nobody(texts: Path) -> None:
    forge(texts, "texts/bytes", lambda values: np.append(values, values[:3]))
    assert "the texts end at" in words(found(texts), "texts")


@pytest.mark.parametrize(
    ("array", "change", "said"),
    [
        ("sources/index", put((0, 0), -4), "its names end at -4 and 11"),
        ("sources/index", put((1, 1), 10**9), "its names end at 21 and 1000000000"),
        ("sources/bytes", put(0, 0xC0), "its name is not UTF-8"),
        ("sources/bytes", lambda values: np.append(values, values[:1]), "the names end at"),
    ],
)
def test_names_of_sources(texts: Path, array: str, change: Change, said: str) -> None:
    forge(texts, array, change)
    assert said in words(found(texts), "sources")


def test_sources_are_named_once(texts: Path) -> None:
    reader = SpecReader(TEXTS)
    name = np.frombuffer(reader.sources()[0].encode(), np.uint8)
    forge(texts, "sources/bytes", lambda values: np.append(values, name))
    forge(texts, "sources/index", lambda values: np.append(values, values[-1:] + len(name), 0))
    text = words(found(texts), "sources")
    assert "source 2 has the names of source 0" in text


# -- state and connections -------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["types", "lifespan", "expiry", "born", "fires"])
def test_every_array_of_the_state(golden: Path, name: str) -> None:
    ids = SpecReader(GOLDEN).group["state/1/ids"][...]
    forge(golden, f"state/1/{name}", add_to(7, 1))
    (finding,) = found(golden)
    assert (finding.kind, finding.array) == ("state", f"state/1/{name}")
    assert (finding.lane, finding.step) == (int(ids[7]) % 3, 60)
    assert f"engram {ids[7]} has {name}" in finding.message
    assert finding.path == f"state/1/{name}/c.0"
    assert verify(golden).sound_step == 64


def test_the_living_of_the_state(golden: Path) -> None:
    ids = SpecReader(GOLDEN).group["state/1/ids"][...]
    forge(golden, "state/1/ids", put(7, int(ids[7]) - 1))
    text = words(found(golden), "state")
    assert f"engram {ids[7]} lives by the log, and is missing" in text
    assert f"engram {ids[7] - 1} " in text
    forge(golden, "state/1/ids", put(slice(6, 8), ids[[7, 6]]))
    assert f"engram {ids[6]} is out of order" in words(found(golden), "state")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("source", add_to(5, 1), "is missing"),
        ("target", add_to(5, 3), "is none of the 64 strongest"),
        ("count", add_to(5, 1), "counts"),
        ("weight", put(5, 0.123), "weighs 0.12"),
        ("target", put(5, -9), "is none of"),
        ("source", put(5, -9), "source"),
    ],
)
def test_every_array_of_the_edges(golden: Path, name: str, change: Change, said: str) -> None:
    forge(golden, f"state/1/edges/{name}", change)
    findings = found(golden)
    assert {one.kind for one in findings} == {"edges"}
    assert said in words(findings, "edges")
    assert {one.step for one in findings} == {60}
    assert f"state/1/edges/{name}" in {one.array for one in findings} | {None}


def test_the_order_of_edges(golden: Path) -> None:
    group = SpecReader(GOLDEN).group["state/1/edges"]
    source, count = group["source"][...], group["count"][...]
    at = next(i for i in range(9, 99) if source[i] == source[i + 1] and count[i] == count[i + 1])

    def swap(values: Any) -> None:
        values[at : at + 2] = values[at : at + 2][::-1]

    forge(golden, "state/1/edges/target", swap)
    (finding,) = found(golden)
    assert "wrong order" in finding.message
    assert finding.lane == int(source[at]) % 3


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("step", 61, "accounts for"),
        ("step", 99, "there are 64"),
        ("rows", 357, "accounts for 357 engrams"),
        ("log_end", 700, "accounts for 700 entries"),
    ],
)
def test_the_head_of_the_state(golden: Path, key: str, value: int, said: str) -> None:
    forge_root(golden, lambda attributes: attributes["state"].update({key: value}))
    assert said in words(found(golden), "state")


# -- attributes and the step begun -----------------------------------------------------------------


def test_the_number_of_steps(golden: Path) -> None:
    forge_root(golden, lambda attributes: attributes.update(step=63))
    assert "step is 63, log/steps has 64 rows" in words(found(golden), "attributes")


def test_the_digest_of_the_root(store: Path) -> None:
    forge_root(store, lambda attributes: attributes.update(digest="0" * 64))
    (finding,) = found(store)
    assert (finding.kind, finding.path, finding.step) == ("digest", "zarr.json", 25)


def test_another_configuration_has_another_first_digest(golden: Path) -> None:
    forge_root(golden, lambda attributes: attributes["config"].update(seed=5))
    assert named(found(golden), "digest") == [("log/steps", None, 1)]


def pending(change: Callable[[list[Any]], None]) -> Callable[[dict[str, Any]], None]:
    return lambda attributes: change(attributes["pending"]["reminded"][1])


def test_what_the_step_begun_reminded(store: Path) -> None:
    reader = SpecReader(store)
    ids = reader.pending["reminded"][1]
    living = reader.state(24).engrams
    dead = next(i for i in range(1, 90, 2) if i not in living)
    for change, said in (
        (lambda row: row.__setitem__(0, dead), "after it was forgotten"),
        (lambda row: row.__setitem__(-1, 2**40 + 1), "there are 96 before the step"),
        (lambda row: row.reverse(), "out of order"),
    ):
        assert len(ids) > 2
        before = (store / "zarr.json").read_bytes()
        forge_root(store, pending(change))
        findings = found(store)
        assert (None, 1, 25) in named(findings, "pending")
        assert said in words(findings, "pending")
        (store / "zarr.json").write_bytes(before)


def test_a_phase_without_engrams(golden: Path) -> None:
    forge_root(golden, lambda attributes: attributes["pending"].update(phase="working"))
    assert "phase is 'working' and 0 engrams" in words(found(golden), "pending")


def test_attributes_that_are_none_of_a_memory(golden: Path) -> None:
    forge_root(golden, lambda attributes: attributes.pop("pending"))
    assert [one.kind for one in found(golden)] == ["attributes"]


def test_snapshots(store: Path) -> None:
    def change(**values: Any) -> list[Finding]:
        before = (store / "zarr.json").read_bytes()
        forge_root(store, lambda attributes: attributes["snapshots"]["half"].update(values))
        findings = found(store)
        (store / "zarr.json").write_bytes(before)
        return findings

    assert change() == []
    for values, said in (
        ({"digest": "0" * 64}, "has another digest than step 13"),
        ({"step": 12}, "has another digest than step 12"),
        ({"step": 99}, "is of step 99, there are 24"),
        ({"events": 4}, "counts 4 events"),
    ):
        (finding,) = change(**values)
        assert (finding.kind, finding.path) == ("snapshot", "zarr.json")
        assert f"snapshot 'half' {said}" in finding.message


def test_a_snapshot_that_names_nothing_is_left_behind(store: Path, tmp_path: Path) -> None:
    forge_root(store, lambda attributes: attributes["snapshots"]["half"].update(digest="0" * 64))
    _, repaired = repair(store, tmp_path / "new")
    assert repaired is not None
    assert repaired.lost_steps == 0
    assert verify(tmp_path / "new").sound
    with MemoryStore.open(tmp_path / "new") as opened:
        assert list(opened.snapshots) == ["by-hand"]


# -- against the specification ---------------------------------------------------------------------

LOGS = ("vectors", "log/ids", "log/expiry", "texts/bytes", "texts/index")


@pytest.mark.parametrize("seed", range(24))
def test_digests_fail_where_the_reader_of_the_specification_says(store: Path, seed: int) -> None:
    """One number changed: the first step whose digest the reader cannot confirm is named."""
    numbers = random.Random(seed)
    name = LOGS[seed % len(LOGS)]
    group: Any = zarr.open_group(store, mode="r")
    values = group[name][...]
    cell = tuple(numbers.randrange(size) for size in values.shape)
    if name == "texts/bytes":
        value = (int(values[cell]) % 90) + 32  # it stays ASCII, mostly
    else:
        value = values[cell] + 1 + numbers.randrange(3)
    forge(store, name, put(cell, value))
    reader = SpecReader(store)
    recorded = [row[3:7].astype(">i8").tobytes() for row in reader.steps]
    try:
        digests = reader.digests()[1:]
    except (IndexError, UnicodeDecodeError):
        assert not verify(store).sound
        return
    wrong = [t for t, (a, b) in enumerate(zip(digests, recorded, strict=True), 1) if a != b]
    report = verify(store)
    steps = [one.step for one in report.findings if one.kind in ("digest", "texts")]
    if not wrong:  # in the step begun, or where the digest does not look
        assert not report.sound
        return
    assert min(steps) <= wrong[0]
    assert name.startswith("texts") or steps[0] == wrong[0]
    assert report.sound_step < wrong[0]


@pytest.mark.parametrize("seed", range(12))
def test_the_state_fails_where_the_reader_of_the_specification_says(
    golden: Path, seed: int
) -> None:
    numbers = random.Random(seed)
    name = ("types", "lifespan", "expiry", "born", "fires")[seed % 5]
    reader = SpecReader(golden)
    ids = reader.group["state/1/ids"][...].tolist()
    row = numbers.randrange(len(ids))
    forge(golden, f"state/1/{name}", add_to(row, 1))
    (finding,) = found(golden)
    engram = reader.state(60).engrams[ids[row]]
    truth = {"types": engram.kind, "lifespan": engram.expiry - 60, "expiry": engram.expiry}
    truth |= {"born": engram.born, "fires": engram.fires}
    assert finding.message.endswith(f"by the log {truth[name]}")
    assert finding.lane == ids[row] % 3


@pytest.mark.parametrize("seed", range(6))
def test_repaired_stores_hold_what_the_reader_of_the_specification_says(
    store: Path, tmp_path: Path, seed: int
) -> None:
    """Cut anywhere, the rest is the memory of that step."""
    before = SpecReader(store)
    step = 1 + seed * 4
    row = before.log_after(step)
    forge(store, "log/ids", put(row, 2**40))
    report, repaired = repair(store, tmp_path / "new")
    assert report.sound_step == step
    assert repaired is not None
    assert (repaired.step, repaired.lost_steps, repaired.begun) == (step, 24 - step, False)
    assert verify(tmp_path / "new").findings == ()
    after = SpecReader(tmp_path / "new")
    assert after.state() == before.state(step)
    assert after.digest() == before.digests()[step].hex()
    texts = [before.text(engram) for engram in range(before.rows_after(step))]
    assert [after.text(engram) for engram in range(len(after.vectors))] == texts
    places = [before.place(engram) for engram in range(before.rows_after(step))]
    assert [after.place(engram) for engram in range(len(after.vectors))] == places
    with MemoryStore.open(tmp_path / "new", "r+") as opened:
        opened.step(np.ones((2, 1, 4), np.float32))
    assert verify(tmp_path / "new").findings == ()


# -- anything at all -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_no_content_makes_it_fail(store: Path, tmp_path: Path, seed: int) -> None:
    """Several numbers and attributes at once, of any size: findings, never an error."""
    numbers = random.Random(seed)
    group: Any = zarr.open_group(store, mode="r")
    names = sorted({str(Path(name).parent) for name in files_of(store) if "/c." in name})
    for name in numbers.sample(names, numbers.randrange(1, 5)):
        shape, dtype = group[name].shape, group[name].dtype
        for _ in range(numbers.randrange(1, 4)):
            cell = tuple(numbers.randrange(size) for size in shape)
            odd: list[Any] = (
                [0, 1, 2, 7, 255] if dtype == np.uint8 else [0, -1, 5, 2**40, 2**63 - 1]
            )
            odd = [np.nan, np.inf, -1.0, 1e300] if dtype.kind == "f" else odd
            with np.errstate(over="ignore"):
                forge(store, name, put(cell, np.array(numbers.choice(odd)).astype(dtype)))
    if seed % 4 == 0:
        name = numbers.choice(files_of(store))
        if name != "zarr.json":
            (store / name).unlink()
    report, repaired = repair(store, tmp_path / "new")
    if repaired is not None:
        assert verify(tmp_path / "new").findings == ()
    assert report.sound_step <= report.step
