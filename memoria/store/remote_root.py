"""The root that one copy of a memory gets from another: no name may stand for other bytes.

State and era are numbered by each copy for itself, so that ``state/7`` may be something else on
either side. What both name and is not the same gets a number that neither has used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from memoria.chunkstore.root import Root, encode_attributes
from memoria.store.schema import ERA_GROUP, STATE_GROUP

__all__ = ["fitted"]


def fitted(given: Root, there: Root | None) -> tuple[Root, dict[str, str]]:
    """``given`` as the next root where ``there`` is now, and where each array lies in ``given``.

    Snapshots that only ``there`` names stay, where the states they name can still be told.
    """
    if there is None:
        return given, {name: name for name in given.arrays}
    mine: dict[str, Any] = json.loads(given.attributes)
    theirs: dict[str, Any] = json.loads(there.attributes)
    moved: dict[str, str] = {}
    for group in (ERA_GROUP, STATE_GROUP):
        a, b = mine.get(group) or {}, theirs.get(group) or {}
        old, taken = a.get("generation"), b.get("generation")
        if old is not None and taken is not None and a != b and old <= taken:
            moved[f"{group}/{old}/"] = f"{group}/{taken + 1}/"
            mine[group] = {**a, "generation": taken + 1}
    _keep_snapshots(mine, theirs)
    arrays, origin = {}, {}
    for name, (spec, rows) in given.arrays.items():
        new = _moved(name, moved)
        arrays[new] = (replace(spec, name=new), rows)
        origin[new] = name
    return Root(encode_attributes(mine), arrays), origin


def _moved(name: str, moved: Mapping[str, str]) -> str:
    for old, new in moved.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _keep_snapshots(mine: dict[str, Any], theirs: Mapping[str, Any]) -> None:
    if "snapshots" not in mine:
        return
    era = mine.get(ERA_GROUP) or {}
    for name, one in (theirs.get("snapshots") or {}).items():
        told = one["step"] >= era.get("step", 0) or one["step"] in era.get("steps", ())
        if told and name not in mine["snapshots"]:
            mine["snapshots"][name] = one
