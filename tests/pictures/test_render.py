"""Animations of a life: who is in them and where, and the files read back."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from chromium import installed, started
from cli_tools import DIARY, Cli, command_line, environment
from PIL import Image

from memoria import MemoriaConfig
from memoria.animation import render
from memoria.animation.interpolate import moment
from memoria.animation.layout import BOXES, HEIGHT, WIDTH, stage
from memoria.animation.select import MOST_STEPS, Cast, cast, shown_steps
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
    random = np.random.default_rng(3)
    with MemoryStore.create(path, config) as made:
        for step in range(26):
            data = random.normal(size=(2, 2, 6)).astype(np.float32)
            made.step(data, texts=[[f"{EVIL} {lane}-{step}"] * 2 for lane in range(2)])
    return path


def casted(path: Path, most: int = 200, **limits: Any) -> Cast:
    with walk(path, **limits) as before, walk(path, **limits) as course:
        return cast(before, course, shown_steps(course.first, course.last), most)


def test_everyone_is_cast_where_there_is_room(store: Path) -> None:
    shown = casted(store)
    assert shown.steps.tolist() == list(range(1, 27))
    assert shown.ids.tolist() == list(range(104))
    with walk(store) as course:
        for row in range(26):
            frame = course.go(row + 1)
            here = np.flatnonzero(shown.kinds[row])
            assert shown.ids[here].tolist() == frame.ids.tolist()
            assert shown.kinds[row, here].tolist() == frame.types.tolist()
            assert shown.lifespan[row, here].tolist() == frame.lifespan.tolist()
            assert shown.fired[row, here].tolist() == frame.fired.tolist()
            assert shown.gone[row, here].tolist() == frame.forgotten.tolist()
            assert shown.totals[row].tolist() == [frame.created, frame.gone]
    with Inspection.open(store) as view:
        for a, b in ((0, 1), (4, 6), (50, 3)):
            both = set(view.firings.steps[view.firings.ids == a].tolist())
            both &= set(view.firings.steps[view.firings.ids == b].tolist())
            assert shown.together[a, b] == shown.together[b, a] == len(both)


def test_of_too_many_each_step_keeps_those_that_fire_most(store: Path) -> None:
    shown, whole = casted(store, 26), casted(store)
    assert len(shown.ids) == 26
    fires = dict(zip(whole.ids.tolist(), whole.fired.sum(axis=0).tolist(), strict=True))
    for step in range(26):
        (one,) = [id_ for id_ in shown.ids.tolist() if id_ // 4 == step]
        assert fires[one] == max(fires[id_] for id_ in range(4 * step, 4 * step + 4))
    later = casted(store, 20, first=13)
    assert min(later.ids) < 4 * 12 <= max(later.ids)
    lane = casted(store, lane=1)
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


def test_everyone_stands_in_the_box_of_its_memory(store: Path) -> None:
    for first in (1, 9):
        shown = casted(store, first=first)
        staging = stage(shown)
        kinds = (EngramType.WORKING, EngramType.SHORTTERM, EngramType.LONGTERM)
        for kind, box in zip(kinds, BOXES, strict=True):
            x, y = staging.places[shown.kinds == kind].T
            assert len(x)
            assert box.left <= x.min() <= x.max() <= box.right
            assert box.bottom <= y.min() <= y.max() <= box.top
        queue = shown.kinds == EngramType.SHORTTERM
        stays = queue[1:] & queue[:-1]
        moved = staging.places[1:, :, 0] - staging.places[:-1, :, 0]
        assert (moved[stays] > 0).all()  # the queue moves on
        long = shown.kinds == EngramType.LONGTERM
        stays = long[1:] & long[:-1]
        assert (np.diff(staging.places, axis=0)[stays] == 0).all()
        assert (stage(shown).places == staging.places).all()


def test_moments_go_over_into_each_other(store: Path) -> None:
    shown = casted(store)
    staging = stage(shown)
    before = None
    for row in range(26):
        for part in np.linspace(0.0, 1.0, 21).tolist():
            now = moment(shown, staging, row, part)
            assert ((now.strength > 0) & (now.strength <= 1)).all()
            assert ((now.colour >= 0) & (now.colour <= 1)).all()
            assert (now.xy >= 0).all()
            assert (now.xy <= [WIDTH, HEIGHT]).all()
            places = dict(zip(now.who.tolist(), now.xy.tolist(), strict=True))
            if before is not None:
                for who in places.keys() & before.keys():
                    assert abs(places[who][0] - before[who][0]) < WIDTH / 5
            before = places
        alive = np.flatnonzero((shown.kinds[row] > 0) & ~shown.gone[row])
        assert places.keys() == set(alive.tolist())  # the forgotten have faded
    quiet, firing = (moment(shown, staging, 20, part) for part in (0.1, 0.69))
    assert (len(quiet.rays), quiet.glow.max()) == (0, 0)
    assert firing.glow.max() > 0.9
    assert set(firing.who[firing.glow > 0].tolist()) == set(
        np.flatnonzero(shown.fired[20]).tolist()
    )


def test_a_gif(store: Path, tmp_path: Path) -> None:
    made = render(store, tmp_path / "a.gif", first=5, last=10, fps=10, most_engrams=30)
    again = render(store, tmp_path / "b.gif", first=5, last=10, fps=10, most_engrams=30)
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
    assert (made["frames"], made["seconds"]) == (9, 0.75)
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / "a.mp4"))
    assert (frames, round(seconds, 2)) == (9, 0.75)
    reader = imageio_ffmpeg.read_frames(str(tmp_path / "a.mp4"))
    told = next(reader)
    reader.close()
    assert told["size"] == (1280, 720)
    assert told["codec"] == "h264"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_page(store: Path, tmp_path: Path) -> None:
    made = render(store, tmp_path / "a.html", first=2, last=9, most_engrams=25)
    render(store, tmp_path / "b.html", first=2, last=9, most_engrams=25)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.replace("<title>a<", "<title>b<").replace('"a: ', '"b: ') == (
        tmp_path / "b.html"
    ).read_text(encoding="utf-8")
    assert made["bytes"] < 6_000_000
    assert page.startswith("<!doctype html>")
    own = page[page.rindex("Plotly.newPlot(") :]
    assert "alert(1)</script>" not in page
    assert "<b onclick" not in own
    assert "\x1b" not in page
    assert not re.search(r'<(script|link|img)[^>]*(src|href)="', page)
    assert own.count('"name":"') == 8
    assert '"label":"9"' in own
    assert "play" in own


@pytest.mark.skipif(not installed(), reason="no chromium and chromedriver")
def test_a_page_in_a_browser(store: Path, tmp_path: Path) -> None:
    render(store, tmp_path / "a.html", first=2, last=9, speed=20)
    browser = started(tmp_path / "profile")
    try:
        browser.get((tmp_path / "a.html").as_uri())
        step = "return document.querySelector('.slider-label').textContent"
        dots = "return document.querySelectorAll('.scatterlayer .point').length"
        assert browser.execute_script(step) == "step 2"
        assert browser.execute_script(dots) >= 8  # plotly leaves out some that are not seen
        browser.find_element("css selector", ".updatemenu-button").click()  # play
        end = time.monotonic() + 60
        while browser.execute_script(step) != "step 9":
            assert time.monotonic() < end
            time.sleep(0.05)
        assert browser.get_log("browser") == []
        logged = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
        asked = {
            one["params"]["request"]["url"]
            for one in logged
            if one["method"] == "Network.requestWillBeSent"
        }
        outside = {url for url in asked if url.startswith(("http", "ws", "ftp"))}
        assert outside == set()
    finally:
        browser.quit()


def test_what_cannot_be_drawn(store: Path, tmp_path: Path) -> None:
    (tmp_path / "there.gif").write_bytes(b"kept")
    cases: list[tuple[str, dict[str, Any], type[Exception]]] = [
        ("a.png", {}, InputError),
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
    assert [path.name for path in tmp_path.iterdir()] == ["there.gif"]
    assert (tmp_path / "there.gif").read_bytes() == b"kept"
    render(store, tmp_path / "there.gif", last=1, force=True, fps=4, most_engrams=4)
    assert (tmp_path / "there.gif").read_bytes()[:3] == b"GIF"


@pytest.mark.parametrize(
    ("missing", "form"),
    [("networkx", "gif"), ("matplotlib", "gif"), ("imageio_ffmpeg", "mp4"), ("plotly", "html")],
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
