"""A reader of stores written from stores/SPEC.md alone: zarr, hashlib, plain loops.

It shares no code with the library, so that the two can be compared.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zarr

Array = np.ndarray[Any, Any]

WORKING, SHORTTERM, LONGTERM = 1, 2, 3


@dataclass
class Engram:
    """What the log says about one living engram."""

    kind: int
    expiry: float
    born: int
    fires: int
    pinned: bool = False


@dataclass
class SpecState:
    """The memory after ``step`` steps: living engrams by id, and co-fire counts by pair of ids."""

    step: int
    engrams: dict[int, Engram] = field(default_factory=dict)
    cofire: dict[tuple[int, int], int] = field(default_factory=dict)


class SpecReader:
    """The arrays and attributes of the store at ``path``, all in memory."""

    def __init__(self, path: Path) -> None:
        group: Any = zarr.open_group(path, mode="r")
        self.group = group
        self.attributes: dict[str, Any] = group.attrs["memoria"]
        self.config: dict[str, Any] = self.attributes["config"]
        self.pending: dict[str, Any] = self.attributes["pending"]
        self.lanes = int(self.config["lanes"])
        self.era: dict[str, Any] | None = self.attributes.get("era")
        if self.era is None or self.era["generation"] is None:
            self.era = None
        top = group if self.era is None else group[f"era/{self.era['generation']}"]
        self.kept: list[int] = [] if self.era is None else top["kept/ids"][...].tolist()
        self.kept_ends: list[int] = [] if self.era is None else top["kept/ends"][...].tolist()
        self.vectors: Array = top["vectors"][...]
        self.scales: Array | None = top["scales"][...] if "scales" in top else None
        self.steps: Array = top["log/steps"][...]
        self.ids: Array = top["log/ids"][...]
        self.expiry: Array = top["log/expiry"][...]
        self.events: list[list[int]] = top["events/index"][...].tolist()
        self.values: list[float] = top["events/values"][...].tolist()
        self.payload_bytes: bytes = top["events/bytes"][...].tobytes()
        self.index: Array = top["texts/index"][...]
        self.text_bytes: bytes = top["texts/bytes"][...].tobytes()
        self.source_bytes: bytes = top["sources/bytes"][...].tobytes()
        self.source_index: list[list[int]] = top["sources/index"][...].tolist()
        self.readings: list[list[int]] = top["sources/readings"][...].tolist()
        self.units: list[list[int]] = top["sources/units"][...].tolist()
        self.command_index: list[list[int]] = top["commands/index"][...].tolist()
        self.command_bytes: bytes = top["commands/bytes"][...].tobytes()
        self.created = len(self.vectors) + self._left_behind()

    def _left_behind(self) -> int:
        return 0 if self.era is None else int(self.era["rows"] - self.era["kept"])

    def row(self, engram: int) -> int | None:
        """The row of ``vectors`` and ``texts/index``; None where compaction left it behind."""
        if self.era is None or engram >= self.era["rows"]:
            return engram - self._left_behind()
        return self.kept.index(engram) if engram in self.kept else None

    def vectors_of(self, first: int, last: int) -> bytes:
        rows = [self.row(engram) for engram in range(first, last)]
        stored = self.vectors[rows].astype(self.vectors.dtype.newbyteorder("<")).tobytes()
        return stored + (b"" if self.scales is None else self.scales[rows].astype("<f4").tobytes())

    def vector(self, engram: int, events: int | None = None) -> Array:
        """In float32, as the edits among the first ``events`` events have made it."""
        row = self.row(engram)
        scale = np.float32(1) if self.scales is None else self.scales[row]
        value: Array = self.vectors[row].astype(np.float32) * scale
        for changed in self.edits(engram, events):
            if "vector" in changed:
                raw = base64.b64decode(changed["vector"])
                size = self.vectors.dtype.itemsize * self.vectors.shape[1]
                value = np.frombuffer(raw[:size], self.vectors.dtype).astype(np.float32)
                if self.scales is not None:
                    value = value * np.frombuffer(raw[size:], "<f4")[0]
        return value

    def payload(self, event: int) -> bytes:
        start = self.events[event - 1][4] if event else 0
        return self.payload_bytes[start : self.events[event][4]]

    def edits(self, engram: int, events: int | None = None) -> list[dict[str, Any]]:
        """The payloads of the edits of an engram among the first ``events`` events."""
        chosen = [n for n, event in enumerate(self.events[:events]) if event[1:3] == [6, engram]]
        return [json.loads(self.payload(n) or b"{}") for n in chosen]

    def rows_after(self, step: int) -> int:
        return int(self.steps[step - 1, 1]) if step else 0

    def entries_after(self, step: int) -> int:
        """Entries ever written by then."""
        return int(self.steps[step - 1, 2]) if step else 0

    def log_after(self, step: int) -> int:
        """The row of ``log/ids`` behind the step's last."""
        if self.era is None or not step:
            return self.entries_after(step)
        if step <= self.era["step"]:
            return self.kept_ends[step - 1]
        return self.entries_after(step) - int(self.era["log_end"] - self.era["log_kept"])

    def first_short(self, step: int) -> list[int]:
        return [int(x) for x in self.steps[step - 1, 7:]] if step else [0] * self.lanes

    def state(self, step: int | None = None, events: int | None = None) -> SpecState:
        """After ``step`` finished steps; None: now, with the step that has been begun.

        And after the first ``events`` events; None: all now, else those before the step's end.
        """
        last = len(self.steps) if step is None else step
        happened = self.events if events is None else self.events[:events]
        if events is None and step is not None:
            later = next(
                (n for n, e in enumerate(happened) if e[0] > step or (e[0] == step and e[1] != 4)),
                len(happened),
            )
            happened = happened[:later]
        happened = [
            [*event[:3], self.values[number]]
            for number, event in enumerate(happened)
            if self.row(event[2]) is not None
        ]
        out = SpecState(last)
        expiry: dict[int, float] = {}
        fires: dict[int, int] = {}
        pinned: set[int] = set()
        for t in range(1, last + 1):
            entries = range(self.log_after(t - 1), self.log_after(t))
            fired = [int(self.ids[e]) for e in entries]
            for engram in pinned:
                expiry[engram] += 1
            for e, engram in zip(entries, fired, strict=True):
                expiry[engram] = float(self.expiry[e])
                fires[engram] = fires.get(engram, 0) + 1
            self._fire(out, fired)
            for _, kind, engram, value in [event for event in happened if event[0] == t]:
                if kind in (1, 4):
                    pinned.discard(engram)
                    expiry[engram] = t
                elif kind == 2:
                    pinned.add(engram)
                elif kind == 3:
                    pinned.discard(engram)
                elif kind == 5:
                    expiry[engram] += value
                if kind in (2, 5) and engram in pinned:
                    expiry[engram] = t + min(max(1, math.ceil(expiry[engram] - t)), 2**52)
        rows = self.rows_after(last)
        new = list(range(rows, self.created)) if step is None else []
        if new:
            for number, engram in enumerate(new):
                expiry[engram] = last + float(self.config["initial_lifespan"])
                if self.pending["expiry"]:
                    expiry[engram] = self.pending["expiry"][number]
            if self.pending["phase"] == "reminded":
                fired = new + [engram for row in self.pending["reminded"] for engram in row]
                for engram in fired:
                    fires[engram] = fires.get(engram, 0) + 1
                self._fire(out, fired)
        short = self.first_short(last)
        for engram in range(rows + len(new)):
            if self.row(engram) is None or not expiry[engram] > last:
                continue
            lane, local = engram % self.lanes, engram // self.lanes
            kind = SHORTTERM if local >= short[lane] else LONGTERM
            born = sum(self.rows_after(t) <= engram for t in range(1, last + 1))
            kind = WORKING if engram >= rows else kind
            count, held = fires.get(engram, 0), engram in pinned
            out.engrams[engram] = Engram(kind, expiry[engram], born, count, held)
        out.cofire = {
            pair: count
            for pair, count in out.cofire.items()
            if pair[0] in out.engrams and pair[1] in out.engrams
        }
        return out

    def _fire(self, state: SpecState, fired: list[int]) -> None:
        for a in fired:
            for b in fired:
                if a % self.lanes == b % self.lanes:
                    state.cofire[a, b] = state.cofire.get((a, b), 0) + 1

    def edges(
        self, step: int, most: int = 64, events: int | None = None
    ) -> list[tuple[int, int, int, float]]:
        """(source, target, count, weight) as ``state/<g>/edges`` must hold them."""
        state = self.state(step, events)
        out = []
        for source in sorted(state.engrams):
            found = [
                (-count, target)
                for (a, target), count in state.cofire.items()
                if a == source and target != source
            ]
            for negative, target in sorted(found)[:most]:
                weight = -negative / state.engrams[source].fires
                out.append((source, target, -negative, weight))
        return out

    def beside(self, engram: int) -> tuple[bytes, bytes, int, int, int]:
        """Text, meta, number of the source, offset and time at birth."""
        row = self.row(engram)
        if row is None or row >= len(self.index):
            return b"", b"", -1, -1, -1
        start = int(self.index[row - 1, 1]) if row else 0
        middle, end, source, offset, time = self.index[row].tolist()
        return self.text_bytes[start:middle], self.text_bytes[middle:end], source, offset, time

    def text(self, engram: int, events: int | None = None) -> str | None:
        text: str | None = self.beside(engram)[0].decode() or None
        for changed in self.edits(engram, events):
            text = changed.get("text", text)
        return text

    def meta(self, engram: int, events: int | None = None) -> dict[str, Any] | None:
        raw = self.beside(engram)[1]
        meta: dict[str, Any] | None = json.loads(raw) if raw else None
        for changed in self.edits(engram, events):
            meta = changed.get("meta", meta)
        return meta

    def time(self, engram: int) -> int | None:
        time = self.beside(engram)[4]
        return None if time < 0 else time

    def sources(self) -> list[str]:
        """As they were given."""
        starts = [0, *(resolved for _, resolved in self.source_index)]
        ends = [given for given, _ in self.source_index]
        return [self.source_bytes[a:b].decode() for a, b in zip(starts, ends, strict=False)]

    def resolved_sources(self) -> list[str]:
        return [self.source_bytes[a:b].decode() for a, b in self.source_index]

    def commands(self) -> list[tuple[int, int, int, str]]:
        """(finished steps, events, time, words) of each."""
        starts = [0, *(row[3] for row in self.command_index)]
        return [
            (step, events, time, self.command_bytes[start:end].decode())
            for start, (step, events, time, end) in zip(starts, self.command_index, strict=False)
        ]

    def reading(self, number: int) -> tuple[str, bytes, list[tuple[int, int, bytes]]]:
        """Source as given, what its content is told by, and (engram, offset, hash) of each unit."""
        row = self.readings[number]
        start = self.readings[number - 1][4] if number else 0
        content = b"".join(word.to_bytes(8, "big", signed=True) for word in row[5:])
        units = []
        for engram, offset, *words in self.units[start : row[4]]:
            told = [(engram, offset, *words)]
            if engram == -2:  # a run of earlier rows
                first, count = words
                told = [(e, o + offset, *w) for e, o, *w in self.units[first : first + count]]
                if offset == -(2**62):
                    told = [(e, -1, *w) for e, _, *w in told]
            units += [
                (e, o, b"".join(word.to_bytes(8, "big", signed=True) for word in w))
                for e, o, *w in told
            ]
        return self.sources()[row[0]], content, units

    def cues(self) -> list[dict[str, Any]]:
        """The payload of every confirmed cue, once for each of its engrams."""
        confirmed = [n for n, event in enumerate(self.events) if event[1] == 7]
        return [json.loads(self.payload(n)) for n in confirmed if self.payload(n)]

    def place(self, engram: int) -> tuple[str, int] | None:
        _, _, source, offset, _ = self.beside(engram)
        return None if source < 0 else (self.sources()[source], offset)

    def digests(self) -> list[bytes]:
        """d_0, d_1, ... after every finished step; up to an era's those that were recorded."""
        text = json.dumps(self.config, sort_keys=True, separators=(",", ":"))
        chain = [hashlib.sha256(b"memoria store 1\n" + text.encode("ascii")).digest()]
        for t in range(1, len(self.steps) + 1):
            if self.era is not None and t <= self.era["step"]:
                words = self.steps[t - 1, 3:7]
                chain.append(b"".join(int(w).to_bytes(8, "big", signed=True) for w in words))
                continue
            rows = self.rows_after(t - 1), self.rows_after(t)
            numbers = *rows, self.entries_after(t - 1), self.entries_after(t)
            entries = self.log_after(t - 1), self.log_after(t)
            content = b"".join(n.to_bytes(8, "little") for n in numbers)
            content += b"".join(n.to_bytes(8, "little") for n in self.first_short(t))
            content += self.vectors_of(*rows)
            content += self.ids[slice(*entries)].astype("<i8").tobytes()
            content += self.expiry[slice(*entries)].astype("<f8").tobytes()
            before = self._after_events(chain[-1], t - 1)
            chain.append(hashlib.sha256(before + content + self._texts(*rows)).digest())
        return chain

    def _after_events(self, chain: bytes, step: int) -> bytes:
        first = 0
        if self.era is not None and step == self.era["step"]:
            chain, first = bytes.fromhex(self.era["digest"]), self.era["events"]
        for number, event in enumerate(self.events):
            if event[0] == step and number >= first:
                content = b"".join(n.to_bytes(8, "little") for n in event[:3])
                content += struct.pack("<d", self.values[number]) + self.payload(number)
                chain = hashlib.sha256(chain + b"event" + content).digest()
        return chain

    def digest(self) -> str:
        """Of the chain and the step that has been begun."""
        last = self._after_events(self.digests()[-1], len(self.steps))
        if self.pending["phase"] == "idle":
            return last.hex()
        rows = self.rows_after(len(self.steps)), self.created
        parts = [self.pending[name] for name in ("phase", "reminded", "expiry")]
        begun = json.dumps(parts).encode("ascii")
        data = self.vectors_of(*rows)
        return hashlib.sha256(last + begun + data + self._texts(*rows)).hexdigest()

    def _texts(self, first: int, last: int) -> bytes:
        """What stands beside the engrams [first, last) at birth; nothing if nothing does."""
        table, content, names = b"", b"", b""
        nothing = True
        for engram in range(first, last):
            text, meta, _, offset, time = self.beside(engram)
            place = self.place(engram)
            name = b"" if place is None else place[0].encode()
            sizes = len(text), -1 if place is None else len(name), offset, time, len(meta)
            table += b"".join(n.to_bytes(8, "little", signed=True) for n in sizes)
            content, names = content + text + meta, names + name
            nothing = nothing and not text and not meta and place is None and time < 0
        return b"" if nothing else table + content + names


def same_float32(a: float, b: float) -> bool:
    """Equal after rounding to float32, as ``lifespan`` and ``weight`` are stored."""
    return math.isclose(float(np.float32(a)), float(np.float32(b)), rel_tol=0, abs_tol=0)
