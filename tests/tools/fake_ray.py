"""A Ray that does its tasks in this process, for tests of what is asked of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest


class FakeRay:
    """A cluster that does a task when somebody waits for it, in this process."""

    def __init__(self, lose: int = 0) -> None:
        self.started: list[tuple[Any, ...]] = []
        self.exceptions = SimpleNamespace(RayError=ValueError)
        self.options: dict[str, Any] = {}
        self.lose = lose
        self.closed = False
        self.settings: dict[str, Any] = {}

    def is_initialized(self) -> bool:
        return False

    def init(self, **settings: Any) -> None:
        self.settings = settings

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def remote(self, function: Any) -> Any:
        def options(**given: Any) -> Any:
            self.options = given
            return SimpleNamespace(remote=lambda *arguments: self._start(function, arguments))

        return SimpleNamespace(options=options)

    def _start(self, function: Any, arguments: tuple[Any, ...]) -> int:
        self.started.append((function, arguments))
        return len(self.started) - 1

    def wait(self, references: list[int], num_returns: int) -> tuple[list[int], list[int]]:
        return references[-1:], references[:-1]

    def get(self, reference: int) -> Any:
        if self.lose:
            self.lose -= 1
            raise ValueError("gone")
        function, arguments = self.started[reference]
        return function(*arguments)

    def cancel(self, reference: int) -> None:
        raise AssertionError("nothing to cancel")

    def shutdown(self) -> None:
        self.closed = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRay]:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    yield ray
    assert ray.closed
