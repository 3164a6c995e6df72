"""The words of a report: its heading, its summary, and what its graph leaves out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from memoria.report.page import table, words

_SOURCES: Final = 100  # in the table
_LANES: Final = 50  # in the table
_KINDS: Final = ("working", "shortterm", "longterm", "forgotten")
_HEADS: Final = ("lane", "working", "short-term", "long-term", "forgotten")

Document = Mapping[str, Any]


def heading(about: Document, lane: int | None) -> str:
    """The store's own name, not where it lies: the same report everywhere."""
    name = os.path.basename(str(about["path"]).rstrip("/")) or "memory"
    at = "" if about["at"] is None else f"@{about['at']}"
    part = "" if lane is None else f", lane {lane}"
    return words(f"{name}{at}{part}")


def lead(about: Document) -> str:
    """The memory in a sentence."""
    lanes = _count(about["config"]["lanes"], "lane")
    begun = "; a step is under way and left out below" if about["phase"] != "idle" else ""
    return (
        f"A memory of {lanes} after {_count(about['step'], 'step')}, "
        f"with {_count(about['engrams'], 'living engram')}{begun}."
    )


def overview(about: Document, lane: int | None) -> str:
    """The facts, and the lanes' counts; those of ``lane`` alone if one is given."""
    config = about["config"]
    lanes = [one for one in about["lanes"] if lane is None or one["lane"] == lane]
    total = {kind: sum(one[kind] for one in lanes) for kind in _KINDS}
    facts = [
        ("Steps", _number(about["step"])),
        ("Working memory", _number(total["working"])),
        ("Short-term memory", _number(total["shortterm"])),
        ("Long-term memory", _number(total["longterm"])),
        ("Forgotten", _number(total["forgotten"])),
    ]
    if lane is None:
        count = about["connections"]
        facts.append(("Connections", "too many to count" if count is None else _number(count)))
        facts.append(("Lanes", _number(config["lanes"])))
    facts.append(("Vectors", f"{config['hidden_dim']} numbers, {config['backbone']}"))
    if about["first_step_time"] is not None:
        facts.append(("First step", _minute(about["first_step_time"])))
        facts.append(("Last step", _minute(about["last_step_time"])))
    cells = [f"<div><dt>{words(name)}</dt><dd>{words(value)}</dd></div>" for name, value in facts]
    digest = words(about["digest"])
    cells.append(f'<div class="long"><dt>Digest of the state</dt><dd>{digest}</dd></div>')
    text = f'<dl class="facts">{"".join(cells)}</dl>'
    if len(lanes) > 1:
        caption = "Engrams by lane"
        if len(lanes) > _LANES:
            caption += f", the first {_LANES} of {len(lanes)}"
        rows = [[one["lane"], *(_number(one[kind]) for kind in _KINDS)] for one in lanes[:_LANES]]
        text += table(caption, _HEADS, rows)
    return text


def details(about: Document) -> str:
    """The settings of the memory, and its sources, folded away."""
    settings = [
        [name.replace("_", " "), "–" if value in (None, "", {}) else value]
        for name, value in about["config"].items()
    ]
    parts = [_folded("Settings", table("Settings of the memory", ("setting", "value"), settings))]
    if sources := about.get("sources"):
        caption = f"{_count(len(sources), 'source')}"
        if len(sources) > _SOURCES:
            caption += f", the {_SOURCES} with the most engrams"
            sources = sorted(sources, key=lambda one: -one["engrams"])[:_SOURCES]
        rows = [
            [one["source"] or "(none)", *map(_number, (one["engrams"], one["first"], one["last"]))]
            for one in sources
        ]
        heads = ("source", "living engrams", "first step", "last step")
        parts.append(_folded("Sources", table(caption, heads, rows)))
    return "".join(parts)


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{title}</summary>{inner}</details>"


def shown(graph: Document, first_step: int) -> str:
    """What the graph shows, and of how many."""
    total, count = graph["total"], graph["shown"]
    if total == 0:
        return "There are no engrams yet: nothing to draw."
    if count == total:
        which = f"All {_count(total, 'engram')} ever made, forgotten ones too."
        if first_step > 1:
            which = f"All {_count(total, 'engram')} that are in the store."
    else:
        which = (
            f"{_number(count)} of {_number(total)} engrams ever made are in the graph, forgotten "
            "ones too: a quarter those made last, a quarter those that fired most often, the "
            "others spread over the whole life. The counts are of all."
        )
    more = []
    others = graph["others"]
    if others["total"]:
        known = count + len(others["texts"])
        more.append(f"The search knows {'all texts' if known == total else f'{known:,} texts'}.")
    more.append("Each has lines to the few engrams of the graph that it fired with most often.")
    if graph["width"] > 1:
        more.append(f"The slider moves {graph['width']} steps at a time.")
    if first_step > 1:
        more.append(
            "Compaction removed forgotten engrams: of the first "
            f"{_count(first_step - 1, 'step')} only what it kept is counted."
        )
    return " ".join([which, *more])


def footer(about: Document) -> str:
    """Where it is from."""
    return (
        f"Written by <code>memoria report</code> of step {_number(about['step'])}. "
        "This file is complete: it loads nothing and sends nothing."
    )


def _number(value: int) -> str:
    return f"{value:,}"


def _count(value: int, word: str) -> str:
    return f"{value:,} {word}" if value == 1 else f"{value:,} {word}s"


def _minute(time: str) -> str:
    """``2025-01-31T12:00:00.000Z`` as ``2025-01-31 12:00 UTC``."""
    return f"{time[:16].replace('T', ' ')} UTC"
