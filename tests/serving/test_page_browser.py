"""The page of a served memory in a real Chromium: asked, corrected and read without a mouse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from accessibility import RULES
from chromium import installed, requested, started
from served import Served, serving
from served_notes import make_notes

from memoria.store import MemoryStore
from memoria.store.remembering import remember

pytestmark = pytest.mark.skipif(not installed(), reason="no chromium and chromedriver")
pytest.importorskip("starlette")


class Page:
    """The page in Chromium, and what a person does with it."""

    def __init__(self, driver: Any, served: Served) -> None:
        self.driver, self.served = driver, served

    def open(self, address: str | None = None) -> None:
        self.driver.get("about:blank")
        self.driver.get(address or self.served.page)
        self.until(lambda: self("return document.documentElement.dataset.ready") == "yes")

    def __call__(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def keys(self, id_: str, *keys: str) -> None:
        self.driver.find_element("id", id_).send_keys(*keys)

    def press(self, label: str) -> None:
        """Press the button of this label by keyboard."""
        script = (
            "return [...document.querySelectorAll('button')].find((one) => one.checkVisibility()"
            " && (one.getAttribute('aria-label') ?? one.textContent) === arguments[0])"
        )
        self.until(lambda: self(script, label) is not None)
        self(script, label).send_keys("\n")

    def text(self, id_: str) -> str:
        return str(self("return document.getElementById(arguments[0]).textContent", id_))

    def texts(self, id_: str) -> list[str]:
        """The texts of the engrams in a list of the page."""
        script = "return [...document.querySelectorAll(`#${arguments[0]} .text`)]"
        found: list[str] = self(script + ".map((one) => one.textContent)", id_)
        return found

    def until(self, right: Callable[[], bool]) -> None:
        for _ in range(400):
            if right():
                return
            time.sleep(0.05)
        raise AssertionError(f"did not come to be; status: {self.text('status')}")

    def says(self, words: str) -> None:
        self.until(lambda: words in self.text("status"))

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def scheme(self, name: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    with serving(make_notes(folder / "notes")) as served:
        driver = started(folder / "profile")
        try:
            yield Page(driver, served)
        finally:
            driver.quit()


def test_asking_correcting_and_undoing_without_a_mouse(page: Page) -> None:
    requested(page.driver)
    page.open()
    assert "token" not in page("return location.href")
    assert page.text("name") == "notes"
    assert "3 engrams living, 0 forgotten, 1 step" in page.text("facts")
    page.keys("question", "Where do the bees live?", "\n")
    page.until(lambda: page.texts("answers-list") != [])
    assert page.texts("answers-list")[0] == "The bees live in the old oak."
    first = "return document.querySelector('#answers-list li')"
    assert "Anna feeds them" in page(first + ".querySelector('.near').textContent")
    about = page(first + ".querySelector('.about').textContent")
    for part in ("talk.txt", "2023-11-14 22:13", "engram 0", "confidence", "speaker: Clara"):
        assert part in about
    page.press("It answered: engram 0")
    page.says("engram 0 answered")
    page.press("Pin: engram 0")
    page.says("engram 0 is pinned")
    page.press("Unpin: engram 0")
    page.says("pinned no more")
    page.press("Edit: engram 0")
    page.keys("edit-text", " It is hollow.")
    page.press("Save")
    page.says("engram 0 is edited")
    edited = "The bees live in the old oak. It is hollow."
    assert page.served.get("/api/engrams/0").json["text"] == edited
    page.press("Forget: engram 0")
    page.press("Cancel")
    page.press("Forget: engram 0")
    page.press("Forget")
    page.says("engram 0 is forgotten")
    page.until(lambda: "2 engrams living, 1 forgotten" in page.text("facts"))
    page.press("Undo…")
    page.until(lambda: "Undo forget" in page.text("sure-text"))
    page.press("Undo")
    page.says("undone: forget")
    assert "3 engrams living" in page.text("facts")
    asked = {
        url for url in requested(page.driver) if not url.startswith(("data:", "about:", "chrome:"))
    }
    assert {url for url in asked if not url.startswith(page.served.url)} == set()
    assert page.served.url in {url.partition("#")[0] for url in asked}
    assert page.complaints() == []


def test_remembering_and_searching(page: Page) -> None:
    page.open()
    page.keys("tab-answers", "\ue014")  # arrow right
    page.until(lambda: len(page.texts("engrams-list")) >= 3)
    page("document.querySelector('details').open = true")
    hostile = "<img src=x onerror=alert(1)> was written by Mallory."
    page.keys("remember-text", hostile)
    page.keys("remember-source", "mail", "\n")
    page.says("1 engram remembered")
    page.until(lambda: page.texts("engrams-list")[:1] == [hostile])
    assert page("return document.querySelectorAll('#engrams-list img').length") == 0
    page.keys("part", "mallory", "\n")
    page.until(lambda: page.texts("engrams-list") == [hostile])
    assert page.text("engrams-note") == "1 engram, the newest first."
    page.press("Forget: engram 3")
    page.press("Forget")
    page.says("engram 3 is forgotten")
    page("document.getElementById('kind').value = 'forgotten'")
    page.keys("part", "\n")
    page.until(lambda: page.texts("engrams-list") == [hostile])
    assert page.complaints() == []


@pytest.mark.slow
def test_what_another_program_remembers_comes_by_itself(page: Page, tmp_path: Path) -> None:
    with serving(make_notes(tmp_path / "notes")) as served:
        page.open(served.page)
        page.keys("tab-answers", "\ue014")  # arrow right
        page.until(lambda: len(page.texts("engrams-list")) == 3)
        with MemoryStore.open(tmp_path / "notes", "r+") as store:
            remember(store, "Wasps live below the roof.")
        page.until(lambda: page.texts("engrams-list")[0] == "Wasps live below the roof.")
        assert "4 engrams living" in page.text("facts")
        page.says("another program has changed the memory")
        page.driver.get("about:blank")


@pytest.mark.slow
def test_the_timeline_and_the_map(page: Page) -> None:
    pytest.importorskip("networkx")
    pytest.importorskip("plotly")
    page.open()
    page.press("Timeline")
    page.until(lambda: page("return document.querySelectorAll('#steps tr').length") >= 1)
    page.press("Map")
    page.until(lambda: page("return !document.getElementById('report').hidden"))
    page.driver.switch_to.frame("report")
    try:
        page.until(lambda: page("return document.documentElement.dataset.ready") == "yes")
        assert "notes" in page("return document.querySelector('h1').textContent")
    finally:
        page.driver.switch_to.default_content()
    assert page.complaints() == []


def test_without_the_token_it_only_reads(page: Page) -> None:
    page.open()
    page("sessionStorage.clear()")
    page.open(page.served.url)
    assert page("return document.getElementById('undo').disabled")
    page.keys("question", "Bo", "\n")
    page.until(lambda: page.texts("answers-list") != [])
    assert page("return document.querySelector('.actions button').disabled")
    page.keys("token", page.served.token, "\n")
    page.until(lambda: not page("return document.getElementById('undo').disabled"))
    page.press("Pin: engram 2")
    page.says("engram 2 is pinned")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_a_machine_can_check_of_accessibility(page: Page, scheme: str) -> None:
    page.open()
    page.scheme(scheme)
    page.keys("question", "bees", "\n")
    page.until(lambda: page.texts("answers-list") != [])
    page.until(lambda: page(f"return isDark() === {str(scheme == 'dark').lower()}"))
    for view in ("answers", "engrams", "timeline"):
        page(f"document.getElementById('tab-{view}').click()")
        page("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        page.until(lambda: page("return !document.body.hasAttribute('aria-busy')"))
        assert page(RULES) == []


def test_a_phone_scrolls_one_way(page: Page) -> None:
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        page.open()
        page.keys("question", "bees", "\n")
        page.until(lambda: page.texts("answers-list") != [])
        for view in ("answers", "engrams", "timeline", "map"):
            page(f"document.getElementById('tab-{view}').click()")
            page.until(lambda: page("return !document.body.hasAttribute('aria-busy')"))
            assert page("return document.documentElement.scrollWidth") <= 360, view
    finally:
        page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
