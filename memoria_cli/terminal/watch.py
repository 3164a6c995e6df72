"""The view of `--watch`: a memory being stepped, or replayed from its log, step by step."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from memoria.timeline.engram_type import EngramType
from memoria_cli.terminal import output
from memoria_cli.terminal.frame_view import FrameView, draw, has_room_for_texts
from memoria_cli.terminal.screen import Screen, painter

if TYPE_CHECKING:
    from memoria.store.replay.walk import StepState, Walk
    from memoria.timeline.log import IntArray

FRAMES_A_SECOND: Final = 10.0
_QUIT: Final = ("q", "Q", "\x04", "\x1b")
_FASTER: Final = ("+", "=")
_SLOWER: Final = ("-", "_")
_ONE_STEP: Final = (".", "\x1b[C")
_DEFAULT_SECONDS: Final = 60.0  # that a replay takes where no speed is asked for
_SLOWEST: Final = 0.1  # steps a second
_FASTEST: Final = 1e6
_STEPPING_SHARE: Final = 0.6  # of the time between two frames
_MOST_POINTS: Final = 4096  # points of the curve of living engrams, before they are thinned
_MOST_TEXTS: Final = 40  # listed at once
_TEXT: Final = 400  # characters of a text that are looked at


@dataclass(frozen=True)
class WatchResult:
    """The steps that were shown, ``first`` to ``last``; ``quit`` if q ended it."""

    first: int
    last: int
    frames: int
    quit: bool

    def record(self) -> dict[str, object]:
        """As plain values: `memoria replay --watch --json`."""
        steps = max(0, self.last - self.first + 1)
        shown = {"from": self.first, "to": self.last, "steps": steps}
        return {**shown, "frames": self.frames, "quit": self.quit}


@dataclass
class _AliveCurve:
    """Living engrams from frame to frame, thinned when there are many."""

    values: list[int] = field(default_factory=list)
    stride: int = 1
    seen: int = 0

    def add(self, count: int) -> None:
        if self.seen % self.stride == 0:
            self.values.append(count)
        self.seen += 1
        if len(self.values) > _MOST_POINTS:
            self.values = self.values[::2]
            self.stride *= 2


class WatchView:
    """Show a memory on the screen while the block runs; the last picture stays in the terminal.

    ``last``: the step at which it will end, if known.
    """

    def __init__(self, walk: Walk, title: str, last: int | None, fps: float) -> None:
        self._walk, self._title, self.last = walk, title, last
        self._between = 1.0 / fps
        self._screen = Screen()
        self._alive = _AliveCurve()
        self._view: FrameView | None = None
        self._due = 0.0
        self.frames = 0

    def __enter__(self) -> WatchView:
        self._screen.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.__exit__()
        if self._view is not None:
            page, height = output.terminal_page()
            styled, colour = painter()
            lines = draw(self._view, page, height - 1, colour)
            kept = lines[:-1] if len(lines) >= 10 else lines  # the keys mean nothing any more
            output.paint("".join(f"{styled(line)}\n" for line in kept))

    def show(self, frame: StepState, keys: str) -> None:
        """Draw a frame."""
        self._alive.add(len(frame.ids) - int(frame.forgotten.sum()))
        self._view = self._made(frame, keys)
        self.draw()
        self.frames += 1

    def draw(self) -> None:
        """Draw the present picture again, on the page as it is now."""
        if self._view is not None:
            page, height = output.terminal_page()
            self._screen.show(draw(self._view, page, height, self._screen.colour))

    def say(self, keys: str) -> None:
        """Draw the present picture with another last line."""
        if self._view is not None:
            self._view = replace(self._view, keys=keys)
            self.draw()

    def key(self, seconds: float) -> str:
        """The key pressed within ``seconds``; "" if none."""
        return self._screen.key(seconds)

    def draw_if_due(self) -> bool:
        """Draw a memory being stepped if a frame is due; return False when the user quits."""
        now = time.monotonic()
        if now < self._due:
            return True
        self.draw_now()
        # never more often than asked for, and never for more than half of the time
        self._due = now + max(self._between, 2 * (time.monotonic() - now))
        return self._screen.key(0.0) not in _QUIT

    def draw_now(self) -> None:
        """Draw a memory being stepped as it is."""
        if self._walk.last > self._walk.step:
            self.show(self._walk.go(self._walk.last), "q ends it after this step")

    def _made(self, frame: StepState, keys: str) -> FrameView:
        new = frame.ids[frame.types == EngramType.WORKING]
        return FrameView(
            frame=frame,
            title=self._title,
            last=self.last,
            initial_lifespan=self._walk.config.initial_lifespan,
            made=self._text(new[:1]),
            again=self._text(frame.reminded[-1:]),
            alive=self._alive.values,
            keys=keys,
            texts=[
                *self._texts("again", frame.reminded[::-1], _MOST_TEXTS),
                *self._texts("new", new, _MOST_TEXTS),
            ],
        )

    def _texts(self, what: str, ids: IntArray, most: int) -> list[tuple[str, str]]:
        """The texts of the first of some engrams, for pages that have room for them."""
        page, lines = output.terminal_page()
        if not has_room_for_texts(page, lines):
            return []
        found = self._walk.texts(ids[: min(most, lines)])
        return [
            (what, f"{id_}  {(text or '')[:_TEXT]}")
            for id_, text in zip(ids.tolist(), found, strict=False)
        ]

    def _text(self, ids: IntArray) -> str | None:
        for id_, text in zip(ids.tolist(), self._walk.texts(ids), strict=True):
            return f"{id_}  {(text or '')[:_TEXT]}"
        return None


class _Replay:
    """The pace of a replay, and the keys that change it."""

    def __init__(self, walk: Walk, pace: float, fps: float) -> None:
        self._walk, self._pace, self._between = walk, pace, 1.0 / fps
        self._wanted = float(walk.step + 1)  # the step that it should be at
        self._paused = self.left = False

    def run(self, view: WatchView) -> None:
        """Show steps until they end or q is pressed."""
        walk = self._walk
        while not self.left and walk.step < walk.last:
            began = time.monotonic()
            target = min(walk.last, int(self._wanted))
            if not self._paused and target > walk.step:
                until = began + _STEPPING_SHARE * self._between
                view.show(walk.go(target, lambda: time.monotonic() >= until), self._keys())  # noqa: B023
                self._wanted = max(self._wanted, float(walk.step))
                if walk.step < target:  # too fast for this machine
                    self._wanted = float(walk.step)
            else:
                view.say(self._keys())
            while not self.left and (rest := began + self._between - time.monotonic()) > 0:
                self._pressed(view.key(rest), view)
            if not self._paused:
                self._wanted += self._pace * (time.monotonic() - began)

    def _pressed(self, key: str, view: WatchView) -> None:
        walk = self._walk
        if key in _QUIT:
            self.left = True
        elif key == " ":
            self._paused = not self._paused
        elif key in _FASTER:
            self._pace = min(_FASTEST, 2.0 * self._pace)
        elif key in _SLOWER:
            self._pace = max(_SLOWEST, 0.5 * self._pace)
        elif key in _ONE_STEP and self._paused and walk.step < walk.last:
            view.show(walk.go(walk.step + 1), self._keys())
            self._wanted = float(walk.step)

    def _keys(self) -> str:
        how = "paused" if self._paused else f"{self._pace:,.3g} steps a second"
        more = "space goes on, . one step" if self._paused else "space pauses, + - speed"
        return f"q quits, {more}: {how}"


def watch_replay(walk: Walk, title: str, speed: float | None, fps: float) -> WatchResult:
    """Show the steps of ``walk``, ``speed`` a second, until they end or q is pressed.

    Slower where the machine cannot keep up: stepping takes at most six tenths of the time.
    """
    first, steps = walk.step + 1, walk.last - walk.step
    pace = max(fps, steps / _DEFAULT_SECONDS) if speed is None else speed
    playing = _Replay(walk, pace, fps)
    with WatchView(walk, title, walk.last, fps) as view:
        playing.run(view)
    return WatchResult(first, walk.step, view.frames, playing.left)
