"""Reports in a real Chromium: they load, step, search, tell and can be used without a mouse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accessibility import RULES
from chromium import installed, requested, started
from report_stores import HOSTILE, block, column, remember

from memoria.report import write_report

pytestmark = pytest.mark.skipif(not installed(), reason="no chromium and chromedriver")

# The drawn graph as a short text: changes when any pixel does.
INK = "return document.getElementById('canvas').toDataURL()"


class Browser:
    """A page in Chromium, and what a person would do with it."""

    def __init__(self, profile: Path) -> None:
        self.driver = started(profile)

    def open(self, page: Path) -> None:
        self.media()
        self.driver.get(page.as_uri())
        assert self("return document.documentElement.dataset.ready") == "yes", self.complaints()

    def __call__(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def media(self, **features: str) -> None:
        told = [{"name": key.replace("_", "-"), "value": value} for key, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": told})

    def keys(self, id_: str, *keys: str) -> None:
        self.driver.find_element("id", id_).send_keys(*keys)

    def text(self, id_: str) -> str:
        return str(self("return document.getElementById(arguments[0]).textContent", id_))

    def ink(self) -> str:
        return str(self(INK))

    def until(self, right: Callable[[], bool]) -> None:
        for _ in range(200):
            if right():
                return
            time.sleep(0.05)
        raise AssertionError("did not come to be")

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def fetched(self) -> set[str]:
        """The addresses that the pages asked for."""
        return {url for url in requested(self.driver) if not url.startswith(("data:", "blob:"))}


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.driver.quit()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    store = remember(folder / "notes", 30, texts=tuple(f"the {n}th of many" for n in range(60)))
    return Path(write_report(store, folder / "report.html")["path"])


@pytest.fixture
def graph(report: Path) -> dict[str, Any]:
    found: dict[str, Any] = block(report.read_text("utf-8"), "data-graph")
    return found


def counts(browser: Browser) -> list[list[str]]:
    rows: list[list[str]] = browser(
        "return [...document.querySelectorAll('#counts tr')]"
        ".map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    return rows


def test_it_loads_quietly_and_asks_for_nothing(browser: Browser, report: Path) -> None:
    browser.fetched()
    browser.open(report)
    for place in browser.driver.find_elements("css selector", ".plot"):
        browser("arguments[0].scrollIntoView()", place)
        browser.until(lambda place=place: place.find_elements("css selector", ".main-svg") != [])
    time.sleep(0.3)
    assert browser.complaints() == []
    assert browser.fetched() == {report.as_uri()}
    blocked = browser("return fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'refused')")
    assert blocked == "refused"
    assert "Content Security Policy" in " ".join(browser.complaints())


def test_the_slider_by_keyboard(browser: Browser, report: Path, graph: dict[str, Any]) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(report)
    now = {name: column(values) for name, values in graph["counts"].items()}
    pictures = {browser.ink()}
    assert "after step 30" in browser.text("step-now")
    for presses, step, moment in (
        ((Keys.HOME,), 1, "step 1 of 30"),
        ((Keys.ARROW_RIGHT,) * 2, 3, "step 3 of 30"),
        ((Keys.END,), 31, "after step 30"),
        ((Keys.ARROW_LEFT,), 30, "step 30 of 30"),
    ):
        browser.keys("slider", *presses)
        assert moment in browser.text("step-now")
        said = browser("return document.getElementById('slider').getAttribute('aria-valuetext')")
        assert moment in said
        shown = {row[0]: row[1:] for row in counts(browser)}
        for title, name in (
            ("Working", "working"),
            ("Short-term", "shortterm"),
            ("Forgotten", "forgotten"),
            ("Fired", "fired"),
        ):
            expected = str(now[name][step - 1])
            assert shown[title] == [expected, expected], (title, step)
        pictures.add(browser.ink())
    assert len(pictures) == 4  # it began where End goes
    browser(
        "const go = document.getElementById('go');"
        "go.value = '12'; go.dispatchEvent(new Event('change'))"
    )
    assert "12 of 30" in browser.text("step-now")


def test_playing_and_pausing(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser("document.getElementById('speed').value = '10'")
    browser.keys("play", " ")
    browser.until(lambda: 2 <= browser("return memory.position") < 30)
    assert browser.text("play") == "Pause"
    browser.keys("play", " ")
    stopped = browser("return memory.position")
    assert browser.text("play") == "Play"
    assert f"step {stopped} of 30" in browser.text("announcement")
    time.sleep(0.3)
    assert browser("return memory.position") == stopped
    browser.media(prefers_reduced_motion="reduce")
    browser(
        "window.moves = 0; const move = memory.moveTo.bind(memory);"
        "memory.moveTo = (p) => { window.moves += 1; move(p); };"
        "document.getElementById('speed').value = '10'; page.moveTo(1); page.play()"
    )
    browser.until(lambda: browser("return memory.position") == 31)
    assert browser("return window.moves") <= 10  # 30 positions in pictures of 5, and the ends


def test_the_search(browser: Browser, report: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.open(report)
    before = browser.ink()
    browser.keys("query", "THE 1")
    browser.until(lambda: "match" in browser.text("found"))
    assert browser.text("found") == "11 engrams of 60 match"
    assert browser("return document.getElementById('found').getAttribute('role')") == "status"
    assert browser.ink() != before
    browser("document.getElementById('query').value = ''; page.search()")
    assert browser.text("found") == ""
    assert browser.text("list-title") == "Fired in the last step"
    assert browser.ink() == before
    browser.keys("query", "the 1", Keys.ENTER)
    assert browser.text("list-title") == "Found"
    assert len(browser.driver.find_elements("css selector", "#list button")) == 11
    browser.keys("query", Keys.TAB)
    focused = browser.driver.switch_to.active_element
    assert focused.text == "#1 the 1th of many"
    assert "the 1th of many" in browser.text("tip")
    focused.send_keys(Keys.ENTER)
    assert browser.text("one-title") == "Engram 1"
    browser("document.getElementById('query').value = ''; page.search()")
    browser.keys("query", "#7", Keys.ENTER)
    assert browser.text("found") == "1 engram of 60 matches"
    browser("document.getElementById('query').value = 'nowhere'; page.search()")
    assert browser.text("found") == "0 engrams of 60 match"


def test_the_map_and_its_colours(browser: Browser, report: Path) -> None:
    browser.open(report)
    seen = [browser.ink()]
    for id_, value in (("placed", "meaning"), ("coloured", "age"), ("coloured", "lifespan")):
        browser(
            "const one = document.getElementById(arguments[0]); one.value = arguments[1];"
            "one.dispatchEvent(new Event('change'))",
            id_,
            value,
        )
        seen.append(browser.ink())
        assert browser("return document.getElementById('scale').hidden") is (id_ == "placed")
    assert "alike in meaning, by PCA" in browser.text("graph-help")
    named = browser("return document.getElementById('canvas').getAttribute('aria-label')")
    assert named.startswith("Map of engrams by meaning")
    browser("document.getElementById('labels').click()")
    assert len({*seen, browser.ink()}) == 5
    browser("page.choose(1); page.goTo(1)")
    assert "made in step 1" in browser.text("tip")
    assert browser.complaints() == []


def test_on_paper_it_is_light_and_whole(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser.media(prefers_color_scheme="dark")
    browser("window.dispatchEvent(new Event('beforeprint'))")
    assert browser("return isDark()") is False
    assert browser("return document.querySelector('#summary details').open") is True
    browser("window.dispatchEvent(new Event('afterprint'))")
    assert browser("return isDark()") is True
    assert browser("return document.querySelector('#summary details').open") is False


def test_hover_and_focus_tell_text_and_life(
    browser: Browser, report: Path, graph: dict[str, Any]
) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    browser.open(report)
    gone = column(graph["engrams"]["gone"])
    place = next(n for n, step in enumerate(gone) if step)
    x, y, width, height = browser(
        "const d = page.drawing, b = d.canvas.getBoundingClientRect();"
        "d.canvas.scrollIntoView({block: 'center', behavior: 'instant'});"
        "return [d.px[arguments[0]], d.py[arguments[0]], b.width, b.height]",
        place,
    )
    canvas = browser.driver.find_element("id", "canvas")
    ActionChains(browser.driver).move_to_element_with_offset(
        canvas, round(x - width / 2), round(y - height / 2)
    ).perform()
    browser.until(lambda: not browser("return document.getElementById('tip').hidden"))
    told = browser.text("tip")
    shown = browser("return page.drawing.current")  # it, or one that lies on top of it
    assert graph["texts"][shown] in told
    for word in ("made in step", "fired", "lived" if gone[shown] else "alive"):
        assert word in told
    ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert browser("return document.getElementById('tip').hidden")

    browser.keys("query", Keys.SHIFT + Keys.TAB)  # by keyboard, from behind
    while browser("return document.activeElement.id") != "canvas":
        browser.driver.switch_to.active_element.send_keys(Keys.SHIFT + Keys.TAB)
    first = browser("return page.drawing.current")
    assert first >= 0
    assert graph["texts"][first] in browser.text("tip")
    browser.keys("canvas", Keys.HOME)
    assert browser("return page.drawing.current") == 0
    browser.keys("canvas", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT)
    assert browser("return page.drawing.current") == 1
    assert graph["texts"][1] in browser.text("announcement")
    browser.keys("canvas", Keys.ARROW_DOWN)
    strongest = column(graph["edges"]["target"])[column(graph["edges"]["source"]).index(1)]
    assert browser("return page.drawing.current") == strongest
    browser.keys("canvas", Keys.ARROW_UP, Keys.ENTER)
    assert browser.text("one-title") == "Engram 1"
    assert "When it fires, so do" in browser.text("one-body")
    scale = browser("return page.drawing.scale")
    browser.keys("canvas", "+")
    assert browser("return page.drawing.scale") > scale
    browser.keys("canvas", "0")
    assert browser("return page.drawing.scale") == scale


def test_light_and_dark(browser: Browser, report: Path) -> None:
    browser.open(report)
    ground = "return getComputedStyle(document.body).backgroundColor"
    light, drawn = browser(ground), browser.ink()
    browser.media(prefers_color_scheme="dark")
    browser.until(lambda: browser(ground) != light)
    dark = browser(ground)
    browser.until(lambda: browser.ink() != drawn)
    assert browser("return document.getElementById('theme').getAttribute('aria-pressed')") == "true"
    browser.keys("theme", " ")
    assert browser(ground) == light
    browser.media(prefers_color_scheme="light")
    browser.keys("theme", " ")
    assert browser(ground) == dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_a_machine_can_check_of_accessibility(
    browser: Browser, report: Path, scheme: str
) -> None:
    browser.open(report)
    browser.media(prefers_color_scheme=scheme)
    browser(
        "page.choose(1); page.goTo(1);"
        "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
    )
    browser.until(lambda: browser("return prefersDark.matches") == (scheme == "dark"))
    assert browser(RULES) == []


def test_a_narrow_screen_scrolls_one_way(browser: Browser, report: Path) -> None:
    browser.open(report)
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser("page.choose(1)")
        assert browser("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_hostile_texts_are_shown_as_texts(browser: Browser, tmp_path: Path) -> None:
    store = remember(tmp_path / "<img src=x onerror=alert(1)>", 6, texts=HOSTILE)
    page = Path(write_report(store, tmp_path / "hostile.html")["path"])
    browser.open(page)
    assert browser("return document.title").startswith("<img src=x onerror=alert(1)>")
    for place in range(12):
        browser("page.choose(arguments[0]); page.goTo(arguments[0])", place)
        text = browser("return memory.texts[arguments[0]]", place)
        assert text == HOSTILE[place % 6][:400]
        assert browser("return document.querySelector('#one .text').textContent").startswith(
            text[:300]
        )
    assert browser("return document.querySelectorAll('img').length") == 0
    assert browser.complaints() == []


def test_memories_of_nothing_and_of_little(browser: Browser, tmp_path: Path) -> None:
    for steps in (0, 1):
        store = remember(tmp_path / f"young{steps}", steps, width=1)
        browser.open(Path(write_report(store, tmp_path / f"{steps}.html")["path"]))
        assert browser("return document.getElementById('viewer').hidden") is (steps == 0)
    assert "after step 1" in browser.text("step-now")
    assert browser.complaints() == []


def test_the_checks_find_what_is_wrong(browser: Browser, report: Path) -> None:
    browser.open(report)
    browser(
        "const bad = document.createElement('main'); document.body.append(bad);"
        "bad.innerHTML = '<p style=color:#aaa;background:#fff>pale</p><button></button>'"
        "+ '<canvas></canvas><b id=slider tabindex=3>x</b>'"
    )
    found = {kind for kind, *_ in browser(RULES)}
    assert found == {"contrast", "no name", "canvas without words", "twice", "positive tabindex"}
