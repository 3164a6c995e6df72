"""Charts made of characters: bars, pyramids, sparklines, trees, as lines of styled text.

Pure functions of their numbers and of the `Page` they are drawn on; `output` prints them. Texts
are escaped here, before they are measured and cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, TypeAlias

from memoria_cli.terminal.formatting import escape

Span: TypeAlias = tuple[str, str]  # text, style: a word of Rich's language, "" for plain
Line: TypeAlias = Sequence[Span]

_LEFT_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_LEVELS: Final = "▁▂▃▄▅▆▇█"
_ASCII_LEVELS: Final = "_.-=+*%#"
_WIDEST: Final = 40  # a bar
_LEAST: Final = 4


@dataclass(frozen=True)
class Page:
    """Where charts are drawn: ``width`` cells, and whether more than ASCII can be shown."""

    width: int = 80
    unicode: bool = True


@dataclass(frozen=True)
class Picture:
    """Lines under a title."""

    title: str
    lines: Sequence[Line]


@dataclass(frozen=True)
class Branch:
    """A line of a tree: what it says, a text that may be cut, and what hangs on it."""

    head: str
    text: str
    style: str = ""
    branches: Sequence[Branch] = field(default_factory=tuple)


def cell_width(text: str) -> int:
    """Cells that ``text`` takes on a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fit(text: str, page: Page, width: int | None = None) -> str:
    """Escape ``text`` and cut it to one line of ``width`` cells (default: the page's)."""
    width = page.width if width is None else width
    flat = escape(" ".join(text.split()))
    if not page.unicode:
        flat = flat.encode("ascii", "backslashreplace").decode()
    if cell_width(flat) <= width:
        return flat
    mark = "…" if page.unicode else "..."
    room = width - len(mark)
    if room <= 0:
        return mark[: max(0, width)]
    from rich.cells import set_cell_size

    return set_cell_size(flat, room).rstrip() + mark


def bar(share: float, width: int, page: Page) -> str:
    """``share`` (0 to 1) of a bar of ``width`` cells; nothing only for 0."""
    if not page.unicode:
        return "#" * max(round(share * width), 1 if share > 0 else 0)
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    return "█" * (eighths // 8) + _LEFT_EIGHTHS[eighths % 8].strip()


def bars(rows: Sequence[tuple[str, int]], page: Page, style: str = "") -> list[Line]:
    """Draw one bar for each row of (label, count), the longest for the greatest count."""
    if not rows:
        return []
    labels = max(cell_width(label) for label, _ in rows)
    numbers = max(len(f"{count:,}") for _, count in rows)
    room = min(_WIDEST, max(_LEAST, page.width - labels - numbers - 6))
    most = max(max(count for _, count in rows), 1)
    return [
        [
            (f"  {label}{' ' * (labels - cell_width(label))}  {count:>{numbers},}  ", ""),
            (bar(count / most, room, page), style),
        ]
        for label, count in rows
    ]


def pyramid(
    titles: tuple[str, str, str],
    rows: Sequence[tuple[str, int, int]],
    page: Page,
    styles: tuple[str, str] = ("", ""),
) -> list[Line]:
    """Draw counts to the left and right of their labels, from rows of (label, left, right).

    ``titles`` stand above the left side, the labels and the right side.
    """
    if not rows:
        return []
    middle = max(cell_width(text) for text in (titles[1], *[row[0] for row in rows]))
    numbers = max(len(f"{max(left, right):,}") for _, left, right in rows)
    room = min(_WIDEST // 2, max(_LEAST, (page.width - middle - 2 * numbers - 10) // 2))
    most = max(max(left, right, 1) for _, left, right in rows)
    side = room + numbers + 1
    left_title, right_title = (fit(titles[i], page, side) for i in (0, 2))
    lines: list[Line] = [
        [
            (f"  {left_title:>{side}}", styles[0]),
            (f"  {titles[1]:^{middle}}  ", "dim"),
            (right_title, styles[1]),
        ]
    ]
    full = "█" if page.unicode else "#"
    for label, left, right in rows:
        cells = max(round(left / most * room), 1 if left else 0)
        lines.append(
            [
                (" " * (room - cells + 2) + f"{_count(left):>{numbers}} ", ""),
                (full * cells, styles[0]),
                (f"  {label:^{middle}}  ", "dim"),
                (bar(right / most, room, page), styles[1]),
                (f" {_count(right)}", ""),
            ]
        )
    return lines


def sparkline(values: Sequence[float], page: Page, width: int, top: float | None = None) -> str:
    """``values`` (0 or more) as a line of at most ``width`` small columns.

    The highest column stands for ``top``, else for the greatest value; more values than columns
    are averaged.
    """
    if not values or width < 1:
        return ""
    columns = min(width, len(values))
    ends = [len(values) * k // columns for k in range(columns + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(ends)]
    levels = _LEVELS if page.unicode else _ASCII_LEVELS
    most = max(means) if top is None else top
    if most <= 0:
        return levels[0] * columns
    high = len(levels) - 1
    return "".join(levels[min(high, max(0, round(mean / most * high)))] for mean in means)


def tree(roots: Sequence[Branch], page: Page) -> list[Line]:
    """Draw every root with its branches below it, each on one line of the page."""
    lines: list[Line] = []
    for root in roots:
        lines.append(_leaf("  ", root, page))
        _grow(root.branches, "  ", page, lines)
    return lines


def _grow(branches: Sequence[Branch], before: str, page: Page, lines: list[Line]) -> None:
    forks = ("├─ ", "└─ ", "│  ") if page.unicode else ("|- ", "`- ", "|  ")
    for number, branch in enumerate(branches):
        last = number == len(branches) - 1
        lines.append(_leaf(before + forks[last], branch, page))
        _grow(branch.branches, before + ("   " if last else forks[2]), page, lines)


def _leaf(before: str, branch: Branch, page: Page) -> Line:
    head = fit(branch.head, page, max(1, page.width - len(before)))
    room = page.width - len(before) - cell_width(head) - 2
    text = fit(branch.text, page, room) if room > _LEAST else ""
    return [(before, "dim"), (head, branch.style), (f"  {text}" if text else "", "")]


def _count(count: int) -> str:
    return f"{count:,}" if count else ""
