"""Animations of a life: who is in them and where, and the files read back."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from cli_tools import DIARY, Cli, command_line, environment
from past_lives import PastLife, live
from PIL import Image

from memoria import MemoriaConfig
from memoria.analysis import open_chronicle
from memoria.animation import render
from memoria.animation.interpolate import interpolate
from memoria.animation.layout import BOXES, HEIGHT, WIDTH, lay_out
from memoria.animation.select import MOST_STEPS, ShownEngrams, select, shown_steps
from memoria.errors import ConfigError, InputError, MissingExtraError, StoreExistsError
from memoria.query.inspection import Inspection
from memoria.store import MemoryStore
from memoria.store.replay.walk import walk
from memoria.timeline.engram_type import EngramType

EVIL = "</script><script>alert(1)</script> <b onclick=x>&amp; $x^2$ \x1b[2J 猫"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 steps of four engrams in two lanes; some live on, some are forgotten."""
    path = tmp_path_factory.mktemp("life") / "store"
    config = MemoriaConfig(
        hidden_dim=6,
        lanes=2,
        num_reminded_stm=2,
        stm_capacity=5,
        num_final_ltms=3,
        initial_lifespan=5,
        rule="uniform:2",
        backbone="array",
    )
    rng = np.random.default_rng(3)
    with MemoryStore.create(path, config) as made:
        for step in range(26):
            data = rng.normal(size=(2, 2, 6)).astype(np.float32)
            made.step(data, texts=[[f"{EVIL} {lane}-{step}"] * 2 for lane in range(2)])
    return path


def selected(path: Path, most: int = 200, first: int = 1, lane: int | None = None) -> ShownEngrams:
    with open_chronicle(path) as chronicle:
        return select(chronicle, shown_steps(first, chronicle.steps), lane, most, 5)


def test_every_engram_is_selected_where_there_is_room(store: Path) -> None:
    shown = selected(store)
    assert shown.steps.tolist() == list(range(1, 27))
    assert shown.ids.tolist() == list(range(104))
    with walk(store) as course:
        for row in range(26):
            frame = course.go(row + 1)
            here = np.flatnonzero(shown.types[row])
            assert shown.ids[here].tolist() == frame.ids.tolist()
            assert shown.types[row, here].tolist() == frame.types.tolist()
            assert shown.lifespan[row, here].tolist() == frame.lifespan.tolist()
            assert shown.fired[row, here].tolist() == frame.fired.tolist()
            assert shown.forgotten[row, here].tolist() == frame.forgotten.tolist()
            assert shown.totals[row].tolist() == [frame.created, frame.gone]
            counts = [frame.count(kind) for kind in list(EngramType)[1:]]
            assert shown.counts[row].tolist() == counts
    with Inspection.open(store) as view:
        for a, b in ((0, 1), (4, 6), (50, 3)):
            both = set(view.firings.steps[view.firings.ids == a].tolist())
            both &= set(view.firings.steps[view.firings.ids == b].tolist())
            assert shown.cofires[a, b] == shown.cofires[b, a] == len(both)


def test_an_animation_agrees_with_the_walk_but_for_events_after_the_step(tmp_path: Path) -> None:
    live(PastLife(4), tmp_path / "store", 30, random.Random(4))
    shown = selected(tmp_path / "store", 400)
    with Inspection.open(tmp_path / "store") as view:
        events = {(step, engram) for step, _, engram in view.events().tolist()}
    assert events
    with walk(tmp_path / "store") as course:
        for row, step in enumerate(shown.steps.tolist()):
            frame = course.go(step)
            at = np.searchsorted(frame.ids, shown.ids[shown.types[row] > 0])
            here = np.flatnonzero(shown.types[row])
            assert shown.ids[here].tolist() == frame.ids[at].tolist()
            assert shown.types[row, here].tolist() == frame.types[at].tolist()
            same = shown.lifespan[row, here] == frame.lifespan[at]
            same &= shown.forgotten[row, here] == frame.forgotten[at]
            assert {(step, id_) for id_ in shown.ids[here][~same].tolist()} <= events


def test_of_too_many_each_step_keeps_those_that_fire_most(store: Path) -> None:
    shown, whole = selected(store, 26), selected(store)
    assert len(shown.ids) == 26
    fires = dict(zip(whole.ids.tolist(), whole.fired.sum(axis=0).tolist(), strict=True))
    for step in range(26):
        (one,) = [id_ for id_ in shown.ids.tolist() if id_ // 4 == step]
        assert fires[one] == max(fires[id_] for id_ in range(4 * step, 4 * step + 4))
    later = selected(store, 20, first=13)
    assert min(later.ids) < 4 * 12 <= max(later.ids)
    lane = selected(store, lane=1)
    assert set((lane.ids % 2).tolist()) == {1}
    assert lane.totals[-1, 0] == 52


def test_many_steps_are_sampled() -> None:
    assert shown_steps(1, 5).tolist() == [1, 2, 3, 4, 5]
    some = shown_steps(7, 10_000)
    assert len(some) == MOST_STEPS
    assert (some[0], some[-1]) == (7, 10_000)
    assert np.ptp(np.diff(some)) <= 1
    with pytest.raises(InputError, match="no steps"):
        shown_steps(1, 0)


def test_every_engram_stands_in_the_box_of_its_memory(store: Path) -> None:
    for first in (1, 9):
        shown = selected(store, first=first)
        layout = lay_out(shown)
        types = (EngramType.WORKING, EngramType.SHORTTERM, EngramType.LONGTERM)
        for kind, box in zip(types, BOXES, strict=True):
            x, y = layout.xy[shown.types == kind].T
            assert len(x)
            assert box.left <= x.min() <= x.max() <= box.right
            assert box.bottom <= y.min() <= y.max() <= box.top
        queue = shown.types == EngramType.SHORTTERM
        stays = queue[1:] & queue[:-1]
        moved = layout.xy[1:, :, 0] - layout.xy[:-1, :, 0]
        assert (moved[stays] > 0).all()  # the queue moves on
        long = shown.types == EngramType.LONGTERM
        stays = long[1:] & long[:-1]
        assert (np.diff(layout.xy, axis=0)[stays] == 0).all()
        assert (lay_out(shown).xy == layout.xy).all()


def test_frames_go_over_into_each_other(store: Path) -> None:
    shown = selected(store)
    layout = lay_out(shown)
    before = None
    for row in range(26):
        for part in np.linspace(0.0, 1.0, 21).tolist():
            now = interpolate(shown, layout, row, part)
            assert ((now.strength > 0) & (now.strength <= 1)).all()
            assert ((now.colour >= 0) & (now.colour <= 1)).all()
            assert (now.xy >= 0).all()
            assert (now.xy <= [WIDTH, HEIGHT]).all()
            xy = dict(zip(now.engrams.tolist(), now.xy.tolist(), strict=True))
            if before is not None:
                for engram in xy.keys() & before.keys():
                    assert abs(xy[engram][0] - before[engram][0]) < WIDTH / 5
            before = xy
        alive = np.flatnonzero((shown.types[row] > 0) & ~shown.forgotten[row])
        assert xy.keys() == set(alive.tolist())  # the forgotten have faded
    quiet, firing = (interpolate(shown, layout, 20, part) for part in (0.1, 0.69))
    assert (len(quiet.rays), quiet.glow.max()) == (0, 0)
    assert firing.glow.max() > 0.9
    assert set(firing.engrams[firing.glow > 0].tolist()) == set(
        np.flatnonzero(shown.fired[20]).tolist()
    )


def test_a_gif(store: Path, tmp_path: Path) -> None:
    made = render(store, tmp_path / "a.gif", first=5, last=10, fps=10, most_engrams=30)
    again = render(store, tmp_path / "b.gif", first=5, last=10, fps=10, most_engrams=30)
    assert made["alt"].startswith("Steps 5 to 10 as a moving picture")
    assert made["alt"].encode() in (tmp_path / "a.gif").read_bytes().replace(b"\xff", b"")
    assert made == {
        "path": str(tmp_path / "a.gif"),
        "format": "gif",
        "bytes": again["bytes"],
        "from": 5,
        "to": 10,
        "steps": 6,
        "steps_shown": 6,
        "engrams": 40,
        "engrams_shown": 30,
        "frames": 30,
        "seconds": 3.0,
        "missing": made["missing"],
        "alt": made["alt"],
    }
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as image:
        assert image.size == (800, 450)
        assert image.info["loop"] == 0
        lasting, pictures = 0, []
        for number in range(image.n_frames):
            image.seek(number)
            lasting += image.info["duration"]
            pictures.append(np.asarray(image.convert("RGB"), np.int64))
    assert lasting == 3000  # of equal neighbours one lasts longer
    assert len(pictures) > 20
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.gif", "b.gif"]
    amber = np.array([230, 159, 0])
    firing = pictures[3][:, : 800 * 2 // 16]
    assert (np.abs(firing - amber).sum(axis=-1) < 60).sum() > 100  # the working memory is there


def test_a_video(store: Path, tmp_path: Path) -> None:
    made = render(store, tmp_path / "a.mp4", last=3, speed=4, fps=12, most_engrams=20)
    assert made["alt"].encode() in (tmp_path / "a.mp4").read_bytes()
    assert (made["frames"], made["seconds"]) == (9, 0.75)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "a.mp4"))
    assert (frames, round(seconds, 2)) == (9, 0.75)
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    told = next(reader)
    reader.close()
    assert told["size"] == (1280, 720)
    assert told["codec"] == "h264"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_what_cannot_be_drawn(store: Path, tmp_path: Path) -> None:
    (tmp_path / "there.gif").write_bytes(b"kept")
    cases: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("a.png", {}, InputError),
        ("a.html", {}, InputError),
        ("a", {}, InputError),
        ("there.gif", {}, StoreExistsError),
        ("a.gif", {"speed": 0.0}, ConfigError),
        ("a.gif", {"fps": 1000.0}, ConfigError),
        ("a.gif", {"speed": 0.1, "fps": 60.0}, InputError),
        ("a.gif", {"most_engrams": 0}, InputError),
        ("a.gif", {"first": 30}, InputError),
        ("a.gif", {"lane": 4}, InputError),
        (str(store / "a.gif"), {}, InputError),
    ]
    for name, options, kind in cases:
        with pytest.raises(kind):
            render(store, tmp_path / name, **options)
    with pytest.raises(InputError, match="memoria report"):
        render(store, tmp_path / "a.html")
    assert [path.name for path in tmp_path.iterdir()] == ["there.gif"]
    assert (tmp_path / "there.gif").read_bytes() == b"kept"
    render(store, tmp_path / "there.gif", last=1, force=True, fps=4, most_engrams=4)
    assert (tmp_path / "there.gif").read_bytes()[:3] == b"GIF"


@pytest.mark.parametrize(
    ("missing", "form"),
    [("networkx", "gif"), ("matplotlib", "gif"), ("imageio_ffmpeg", "mp4")],
)
def test_a_missing_package_is_named(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, form: str
) -> None:
    import sys

    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match="viz"):
        render(store, tmp_path / f"a.{form}", last=2, most_engrams=4)
    assert list(tmp_path.iterdir()) == []


def test_as_a_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli = Cli(capsys)
    Path("diary.txt").write_text(DIARY * 3, encoding="utf-8")
    cli.ok("init", "notes", "--wm-length", 2)
    cli.ok("step", "notes", "diary.txt")
    told = cli.ok("replay", "notes", "--render", "a.gif", "--to", 2, "--fps", 4, "--json").json
    assert (told["from"], told["to"], told["frames"]) == (1, 2, 4)
    ran = cli("replay", "notes", "--render", "a.gif")
    assert (ran.code, ran.out) == (1, "")
    assert "--force" in ran.err
    ran = cli(
        *("replay", "notes", "--render", "a.gif", "--force", "--to", 3),
        *("--most-engrams", 2, "--fps", 4, "--speed", 4),
    )
    assert ran.code == 0
    assert "shown: 2 of 6 engrams" in ran.err
    assert "steps 1 to 3 in" in ran.out
    for line in (
        "--render a.gif --watch",
        "--render b.gif --recompute",
        "--render b.gif -o x",
        "--most-engrams 5",
        "--force",
        "--render b.png",
    ):
        ran = cli("replay", "notes", *line.split())
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1), line
    cli.ok("init", "empty")
    assert cli("replay", "empty", "--render", "e.gif").code == 2
    assert not Path("e.gif").exists()


def test_an_interrupt_leaves_nothing(store: Path, tmp_path: Path) -> None:
    words = command_line("replay", store, "--render", tmp_path / "a.gif", "--fps", 24, "--json")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        end = time.monotonic() + 90
        while not list(tmp_path.iterdir()):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert json.loads(said.splitlines()[-1])["error"]["code"] == 130
    assert list(tmp_path.iterdir()) == []
