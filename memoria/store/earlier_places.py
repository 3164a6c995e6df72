"""What new files were before they were renamed, or their folder or the memory was moved."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Protocol

from memoria.io.files import split_key
from memoria.io.folders import FoundInput, Listing
from memoria.store.held_units import HeldUnits


class _Comparing(Protocol):
    def content_keys(self, content: bytes) -> Set[bytes]:
        """The contents of sources of which a file of this content has all units, and no others."""


@dataclass
class Earlier:
    """What is known of new files.

    Attributes:
        whole: files that have all that another source had, which is there no more.
        emptied: sources of which nothing is there any more, as other files took their places.
        claimable: sources that are lost, and whose units may be in a new file.
    """

    whole: dict[FoundInput, int] = field(default_factory=dict)
    emptied: set[int] = field(default_factory=set)
    claimable: set[int] = field(default_factory=set)


def find_earlier(
    comparing: _Comparing,
    held: HeldUnits,
    listing: Listing,
    fresh: Mapping[FoundInput, bytes],
    emptied: Set[int],
    places: tuple[str | None, str],
) -> Earlier:
    """Find what the ``fresh`` files, with their contents, were before.

    A source is lost where its file is not there. Where the memory lies elsewhere than before, by
    its ``places`` then and now, what lies now where a source lay then, as seen from the memory, is
    that source, if nothing else is known of it; and any source may be one of another machine.

    A folder takes the place of another one that is lost if at least half of the sources below that
    are in it by the same name, and unchanged. What is below the other folder and not below it has
    vanished then.

    Args:
        comparing: which contents a file may be the continuation of.
        held: what the memory holds of each source.
        listing: what was named, and what is there.
        fresh: the new files, with the sha256 of each.
        emptied: sources of which nothing is there any more.
        places: where the memory lay when it was read last, and where it lies now.
    """
    then, now = places
    is_elsewhere = then != now
    found = Earlier()
    named = {one.resolved for one in listing.inputs}
    others = {
        path: source
        for path, source in held.paths()
        if path not in named and source not in emptied and held.count_rows(source)
    }

    def is_there(path: str) -> bool:
        return os.path.lexists(split_key(path)[0])

    def former(path: str) -> str | None:
        """Where what lies at ``path`` now lay, if it was moved with the memory."""
        if then is None or not is_elsewhere:
            return None
        return os.path.normpath(os.path.join(then, os.path.relpath(path, now)))

    roots = _former_roots(comparing, held, others, listing, fresh, is_elsewhere)
    for scope in listing.scopes:
        is_known = any(
            path.startswith(scope.root) and held.count_rows(source) and held.content(source)
            for path, source in held.paths()
        )
        if not is_known and not scope.pattern and (root := former(scope.root)) is not None:
            roots.append(os.path.join(root, ""))
    for one in fresh:
        if (source := others.get(former(one.resolved) or "")) is not None:
            found.emptied.add(source)
            del others[former(one.resolved) or ""]
    for former_root in roots:
        for path in [path for path in others if path.startswith(former_root)]:
            found.emptied.add(others.pop(path))
    waiting: dict[bytes, list[int]] = {}
    for source in [*sorted(emptied | found.emptied), *others.values()]:
        waiting.setdefault(held.content(source), []).append(source)
    paths = {source: path for path, source in others.items()}
    taken: set[int] = set()
    for one, content in fresh.items():
        keys = comparing.content_keys(content)
        for source in itertools.chain.from_iterable(waiting.get(key, ()) for key in keys):
            before = paths.get(source, "")  # "" of what is known to be gone
            same_name = is_elsewhere and _name(before) == _name(one.resolved)
            if source not in taken and (not before or same_name or not is_there(before)):
                found.whole[one] = source
                taken.add(source)
                found.emptied.add(source)
                break
    folders = {os.path.dirname(one.resolved) for one in fresh}
    names = {(_name(one.resolved), one.name) for one in fresh}
    for path, source in others.items():
        same_name = is_elsewhere and (_name(path), held.name(source)) in names
        is_near = os.path.dirname(path) in folders and not is_there(path)
        if source not in taken and (same_name or is_near):
            found.claimable.add(source)
    return found


def _former_roots(
    comparing: _Comparing,
    held: HeldUnits,
    others: Mapping[str, int],
    listing: Listing,
    fresh: Mapping[FoundInput, bytes],
    is_elsewhere: bool,
) -> list[str]:
    """Where the folders of the listing lay before."""
    by_name: dict[str, list[str]] = {}
    for path in others:
        by_name.setdefault(_name(path), []).append(path)
    found: list[str] = []
    for scope in listing.scopes:
        if scope.pattern:
            continue
        alike = Counter[str]()
        for one, content in fresh.items():
            rest = one.resolved.removeprefix(scope.root)
            for path in by_name.get(_name(rest), ()):
                root = path.removesuffix(rest)
                if root != path and root.endswith(os.sep):
                    alike[root] += held.content(others[path]) in comparing.content_keys(content)
        for root, count in alike.most_common():
            size = sum(path.startswith(root) for path in others)
            if 2 * count >= size and (is_elsewhere or not os.path.lexists(root)):
                found.append(root)
                break
    return found


def _name(path: str) -> str:
    return path.rpartition(os.sep)[2]
