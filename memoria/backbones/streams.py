"""Inputs to working memories: what ``add``, ``remind --cue`` and ``step`` feed a store with.

With one lane, inputs are read one after another and cut into working memories of ``wm_length``
units. With B lanes, lane i reads input i. A unit is a part of a text, an image, or a row of an
array [N, D]. Arrays of more axes hold working memories as they are, all lanes of them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import numpy as np

from memoria.backbones import Backbone, OptionValue, check_backbone, load_backbone, split_name
from memoria.backbones.base import encoder
from memoria.backbones.hf_image import HfImageBackbone
from memoria.config import MemoriaConfig
from memoria.errors import (
    BackboneError,
    ConfigError,
    InputError,
    MemoriaError,
    NoTextError,
    StorageError,
)
from memoria.io.files import split_key
from memoria.io.inputs import InputReader, InputSpec, Piece, Plan, WorkingMemory
from memoria.io.progress import Progress, no_progress
from memoria.io.read_options import ReadOptions

if TYPE_CHECKING:
    from memoria.io.record_lines import RecordLines

_HELD_BYTES: Final = 2**26  # of inputs that were counted before they are stepped through
_PIECE_BYTES: Final = 256  # beside its text or vector
_BATCH_UNITS: Final = 256  # units encoded in one go, of several steps when they are short
_SLOW: Final = ("hf", "http", "st")  # backbones that leave Python to others while they work

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")


def store_backbone(
    config: MemoriaConfig, place: str | None = None, **run_options: OptionValue | None
) -> Backbone:
    """The backbone that a store of ``config`` holds vectors of.

    ``place`` names it where it lies now, if elsewhere than by its name (`may_be_place`).
    ``run_options`` (batch_size, device) change its speed only. Raises `BackboneError` when it does
    not load, or when what loads is not what the store was made with, by its name, its options or
    the fingerprint of its weights.
    """
    held = (config.backbone, config.hidden_dim, config.backbone_options)
    options: dict[str, Any] = {**config.backbone_options, **run_options}
    made = load_backbone(_found(config.backbone, place), config.hidden_dim, **options)
    check_backbone(*held, asked_options=made.options)
    known = config.backbone_fingerprint
    if known and made.fingerprint and known != made.fingerprint:
        raise BackboneError(
            f"backbone {config.backbone!r} has other weights ({made.fingerprint[:8]}) than those "
            f"the store was made with ({known[:8]})",
            "bring those back, or encode the texts anew: "
            f"`memoria replay STORE --set backbone={config.backbone} -o NEW`",
        )
    return made


def may_be_place(config: MemoriaConfig, asked: str) -> bool:
    """Whether ``asked`` may be the store's own model in another folder: its weights will tell."""
    (head, where), (own, _) = split_name(asked), split_name(config.backbone)
    return bool(config.backbone_fingerprint) and head == own and os.path.isdir(where or "")


def absolute_name(name: str) -> str:
    """The name of a backbone whose folder is found from anywhere."""
    head, where = split_name(name)
    if where is None or not os.path.isdir(os.path.expanduser(where)):
        return name
    return f"{head}:{os.path.abspath(os.path.expanduser(where))}"


def _found(name: str, place: str | None) -> str:
    """The name to load: ``place`` where its folder is there, or the own folder is not."""
    if place is None or place == name:
        return name
    there = [os.path.isdir(os.path.expanduser(split_name(one)[1] or "")) for one in (place, name)]
    return name if there == [False, True] else place


class UnitChoice(Protocol):
    """Says which units of the inputs are taken, once it has seen all of them."""

    def see(self, number: int, piece: Piece) -> None:
        """Look at the next unit of input ``number``."""

    def known_lines(self, number: int) -> RecordLines | None:
        """What is known of the lines of input ``number``, a large file of records.

        None: each of its units is to be seen.
        """

    def see_lines(self, number: int, lines: RecordLines) -> None:
        """Look at all units of such an input at once."""

    def taken_of_lines(self, number: int) -> Sequence[int]:
        """Which of these units are taken, ascending."""

    def fail(self, number: int) -> None:
        """Input ``number`` cannot be read to its end: nothing of it is taken."""

    def decide(self) -> None:
        """All inputs have been seen."""

    def count(self, number: int, units: int) -> int:
        """How many of the ``units`` of input ``number`` are taken."""

    def takes(self, number: int, unit: int) -> bool:
        """Whether unit ``unit`` of input ``number`` is taken."""


@dataclass
class _Scan:
    """What the inputs hold, by their numbers.

    Attributes:
        units: how many units there are.
        taken: how many of them are taken.
        held: the units themselves, of what is small.
        lines: the lines of large files of records, in place of their units.
        failed: inputs that cannot be read.
    """

    units: dict[int, int] = field(default_factory=dict)
    taken: dict[int, int] = field(default_factory=dict)
    held: dict[int, list[Piece]] = field(default_factory=dict)
    lines: dict[int, RecordLines] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)

    @property
    def is_held(self) -> bool:
        """Whether nothing has to be read any more."""
        return bool(self.units) and self.held.keys() >= self.units.keys() - self.failed

    def steps(self, specs: Sequence[InputSpec], lanes: int, width: int) -> int:
        """How many working memories these are, of ``width`` units each."""
        if lanes > 1 and specs and specs[0].kind != "steps":
            return _ceil(min(self.taken[number] for number in range(lanes)), width)
        total = waiting = 0
        for number, taken in self.taken.items():
            if specs[number].kind == "steps":
                size = max(1, self.units[number] // max(1, specs[number].length))
                total, waiting = total + _ceil(waiting, width) + _ceil(taken, size), 0
            else:
                waiting += taken
        return total + _ceil(waiting, width)


class InputStream:
    """The working memories of ``inputs`` (files, ``-`` for standard input) and then of ``texts``.

    Iterating yields `WorkingMemory` after `WorkingMemory`, at most ``limit``; it reads lazily and
    encodes in batches with `store_backbone`, loaded when the first text or image comes. ``unit``,
    or how texts are read, and ``wm_length`` default to the configuration's. ``choice`` says which
    units are taken; the others are counted in ``skipped``. Inputs whose names are among
    ``may_fail`` stop nothing when they cannot be read: ``faults`` has the error of each.
    ``may_be_none``: there may be no input. ``notices`` tells what a user should know, after
    iterating.

    Raises on construction what can be said without reading: `InputError` for what is missing,
    empty or unknown, `ShapeError` for arrays that do not fit, `BackboneError` for text or images
    in a store of plain vectors or another ``backbone`` than its; `StorageError` where the system
    refuses. ``backbone`` may also name another folder with the same weights; ``place`` is the one
    that the store's settings name; ``loaded`` the backbone itself, if it is loaded already.
    """

    def __init__(
        self,
        config: MemoriaConfig,
        inputs: Sequence[str | os.PathLike[str]],
        *,
        texts: Sequence[str] = (),
        stdin: Any = None,
        unit: str | ReadOptions | None = None,
        wm_length: int | None = None,
        limit: int | None = None,
        choice: UnitChoice | None = None,
        may_fail: Collection[str] = (),
        may_be_none: bool = False,
        backbone: str | None = None,
        loaded: Backbone | None = None,
        place: str | None = None,
        **run_options: OptionValue | None,
    ) -> None:
        held = (config.backbone, config.hidden_dim, config.backbone_options)
        if backbone is not None and backbone not in (place, config.backbone):
            if may_be_place(config, backbone):
                place = backbone
            else:
                check_backbone(*held, backbone)
        self._place = place
        if wm_length is not None and wm_length < 1:
            raise ConfigError(f"wm_length = {wm_length}: must be 1 or more")
        if limit is not None and limit < 1:
            raise ConfigError(f"limit = {limit}: must be 1 or more")
        self._lanes = config.lanes
        self._width = config.wm_length if wm_length is None else wm_length
        self._limit = limit
        self._config, self._run_options = config, run_options
        self._backbone = loaded
        self._choice = choice
        self._may_fail = frozenset(may_fail if config.lanes == 1 else ())
        self._reader = InputReader(
            config.lanes,
            config.hidden_dim,
            inputs,
            texts,
            stdin,
            config.unit if unit is None else unit,
            may_be_none=may_be_none,
            may_fail=self._may_fail,
        )
        self._specs = self._reader.specs
        self._check_mixture()
        if config.backbone == "array":
            self._refuse_all_but_arrays()
        self.notices: list[str] = []
        self.skipped = 0
        self.faults: dict[str, MemoriaError] = {}
        self.totals: dict[int, int] = {}  # units taken of each input that was read to its end
        self._scan: _Scan | None = None

    @property
    def specs(self) -> Sequence[InputSpec]:
        """The inputs by their numbers: files in order, then texts."""
        return self._specs

    def __iter__(self) -> Iterator[WorkingMemory]:
        scan, self._scan = self._scan, None
        if scan is None:
            needs_scan = self._choice is not None or self._may_fail
            scan = self._scanned() if needs_scan else _Scan()
        batches = _batches(self._plans(scan))
        # What is read already can be encoded ahead: nothing is asked of the store meanwhile.
        ahead = scan.is_held and split_name(self._config.backbone)[0] in _SLOW
        encoded = _ahead(self._encode, batches) if ahead else map(self._encode, batches)
        for memories in encoded:
            yield from memories
        self.notices += list(self._reader.bad)
        if self._backbone is not None:
            self.notices += self._backbone.notices()

    @property
    def backbone(self) -> Backbone | None:
        """What has encoded texts and images so far; None before any came."""
        return self._backbone

    def count(self, progress: Progress = no_progress) -> int:
        """How many working memories there are. Reads every input, and so finds its faults.

        What was read is held for the next iteration, so that no input is read twice, unless it is
        larger than `_HELD_BYTES`. ``progress`` hears of the bytes that were read of the files.
        """
        self._scan = scan = self._scanned(progress)
        steps = scan.steps(self._specs, self._lanes, self._width)
        return steps if self._limit is None else min(steps, self._limit)

    def single(self, as_cue: bool = False) -> WorkingMemory:
        """All inputs as exactly one working memory.

        ``as_cue``: one input may serve every lane, with any number of units. Raises `InputError`
        when texts or images make more than ``wm_length`` units or unequal numbers of them in the
        lanes, and for an array of several steps.
        """
        whole = [spec for spec in self._specs if spec.kind == "steps"]
        if whole:
            if len(self._specs) > 1 or whole[0].length != 1:
                steps = sum(spec.length for spec in whole)
                raise InputError(
                    f"{len(self._specs)} inputs with {steps} working memories, one is taken",
                    "`memoria step` takes them all",
                )
            return self._encode([next(self._reader.steps(whole[0]))])[0]
        shared = as_cue and len(self._specs) == 1 and self._lanes > 1
        lanes = [self._single_lane(group, as_cue) for group in self._by_lane(shared)]
        if len({len(lane) for lane in lanes}) > 1:
            counts = ", ".join(str(len(lane)) for lane in lanes)
            raise InputError(
                f"the lanes get {counts} units, all need the same number",
                "give inputs of equal length, or use `memoria step`",
            )
        memory = self._encode([lanes], as_cue)[0]
        if not shared:
            return memory
        return WorkingMemory(
            np.repeat(memory.data, self._lanes, axis=0),
            memory.texts * self._lanes,
            memory.places * self._lanes,
            memory.times * self._lanes,
            memory.meta * self._lanes,
            memory.pieces * self._lanes,
        )

    def _single_lane(self, specs: Sequence[InputSpec], as_cue: bool) -> list[Piece]:
        pieces = itertools.chain.from_iterable(map(self._reader.pieces, specs))
        if as_cue or all(spec.kind == "rows" for spec in specs):
            return list(pieces)  # an array says by its shape how long a working memory is
        taken = list(itertools.islice(pieces, self._width + 1))
        if len(taken) > self._width:
            raise InputError(
                f"more than {self._width} units, the length of a working memory",
                "use `memoria step` to take them in turn, or set --wm-length",
            )
        return taken

    def _check_mixture(self) -> None:
        whole = [spec for spec in self._specs if spec.kind == "steps"]
        if self._lanes > 1 and whole and len(whole) < len(self._specs):
            other = next(spec for spec in self._specs if spec.kind != "steps")
            raise InputError(
                f"{whole[0].name} holds all lanes, {other.name} one",
                "give arrays of all lanes only, or one input for each lane",
            )

    def _refuse_all_but_arrays(self) -> None:
        for spec in self._specs:
            if spec.kind not in ("rows", "steps"):
                what = "an image" if spec.kind == "image" else "text"
                raise BackboneError(
                    f"{spec.name} is {what}, the store holds plain vectors (backbone 'array')",
                    "give arrays, or create a store with `--backbone hash` or `--backbone hf:ID`",
                )

    def _by_lane(self, shared: bool = False) -> list[list[InputSpec]]:
        """The inputs of each lane."""
        if self._lanes == 1 or shared:
            return [self._specs]
        if len(self._specs) != self._lanes:
            raise InputError(
                f"{len(self._specs)} inputs for {self._lanes} lanes",
                "give one input for each lane, in order, or arrays [B, W, D] of all lanes",
            )
        return [[spec] for spec in self._specs]

    def _scanned(self, progress: Progress = no_progress) -> _Scan:
        """Read the inputs, no further than ``limit``, and let the choice choose."""
        if self._lanes > 1 and self._specs and self._specs[0].kind != "steps":
            self._by_lane()
        self.faults, scan, size, before = {}, _Scan(), 0, 0
        ends = [0, *itertools.accumulate(_file_size(spec) for spec in self._specs)]
        heard = 0

        def hear(bytes_read: int) -> None:
            nonlocal heard
            heard += bytes_read
            progress(min(heard, ends[-1]), ends[-1])

        self._reader.heard = hear
        most = None if self._limit is None or self._choice else self._limit * self._width
        for number, spec in enumerate(self._specs):
            pieces, held, units = self._pieces(number), list[Piece](), 0
            if most is not None and self._lanes == 1:
                whole = spec.kind == "steps"  # these count by steps, however wide
                pieces = itertools.islice(pieces, None if whole else max(0, most - before))
            elif most is not None and spec.kind != "steps":
                pieces = itertools.islice(pieces, most)
            try:
                if (known := self._known_lines(number)) is not None:
                    assert self._choice is not None
                    scan.lines[number] = lines = self._reader.lines(spec, known)
                    self._choice.see_lines(number, lines)
                    units, pieces = len(lines.offsets), iter(())
                for units, piece in enumerate(pieces, 1):  # noqa: B007
                    if self._choice is not None:
                        self._choice.see(number, piece)
                    if size <= _HELD_BYTES:
                        size += _bytes_of(piece)
                        held.append(piece)
            except (InputError, StorageError) as error:
                if spec.name not in self._may_fail:
                    raise
                if isinstance(error, NoTextError):
                    scan.units[number], scan.held[number] = 0, []
                    continue
                self.faults[spec.name] = error
                scan.failed.add(number)
                if self._choice is not None:
                    self._choice.fail(number)
                units = 0
            scan.units[number] = units
            before += units
            if len(held) == units and size <= _HELD_BYTES:
                scan.held[number] = held
            heard = ends[number + 1]
            progress(heard, ends[-1])
        self._reader.heard = lambda size: None
        if self._choice is not None:
            self._choice.decide()
            for number, units in scan.units.items():
                scan.taken[number] = self._choice.count(number, units)
        else:
            scan.taken = dict(scan.units)
        return scan

    def _known_lines(self, number: int) -> RecordLines | None:
        """What is known of the lines of an input, if it is read line by line."""
        from memoria.io.record_lines import has_record_lines

        spec = self._specs[number]
        if self._choice is None or spec.kind != "text" or not has_record_lines(spec.name):
            return None
        return self._choice.known_lines(number)

    def _pieces(self, number: int) -> Iterator[Piece]:
        """All units of an input, those of whole steps one after another."""
        spec = self._specs[number]
        if spec.kind != "steps":
            return self._reader.pieces(spec)
        plans = self._reader.steps(spec)
        return (piece for plan in plans for column in zip(*plan, strict=True) for piece in column)

    def _plans(self, scan: _Scan) -> Iterator[Plan]:
        """The working memories, not encoded yet. Starts over at every call."""
        self.notices, self.skipped, self.totals = [], 0, {}
        return itertools.islice(self._all_plans(scan), self._limit)

    def _all_plans(self, scan: _Scan) -> Iterator[Plan]:
        numbers = [number for number in range(len(self._specs)) if number not in scan.failed]
        if self._lanes > 1 and self._specs and self._specs[0].kind != "steps":
            yield from self._side_by_side(scan)
            return
        kinds = itertools.groupby(numbers, lambda number: self._specs[number].kind == "steps")
        for whole, group in kinds:
            if whole:
                for number in group:
                    yield from self._whole_steps(number)
                continue
            taken = (self._taken(number, scan) for number in group)
            pieces = itertools.chain.from_iterable(taken)
            while plan := list(itertools.islice(pieces, self._width)):
                yield [plan]

    def _side_by_side(self, scan: _Scan) -> Iterator[Plan]:
        """Lane i from input i, as long as each of them lasts."""
        self._by_lane()
        lanes = [self._taken(number, scan) for number in range(self._lanes)]
        while True:
            taken = [list(itertools.islice(lane, self._width)) for lane in lanes]
            width = min(map(len, taken))
            if width:
                yield [pieces[:width] for pieces in taken]
            if width < self._width:
                first = min(range(len(taken)), key=lambda lane: len(taken[lane]))
                more = any(len(pieces) > width for pieces in taken)
                if more or any(next(lane, None) is not None for lane in lanes):
                    self.notices.append(
                        f"{self._specs[first].name} (lane {first}) ended first; "
                        "the rest of the other inputs was not used"
                    )
                return

    def _taken(self, number: int, scan: _Scan) -> Iterator[Piece]:
        """The units of an input that are taken; counts them when it has come to its end.

        Where a choice was made, nothing is read behind the last of them.
        """
        if number in scan.lines:
            yield from self._taken_of_lines(number, scan.lines[number])
            return
        count, units, held = 0, scan.units.get(number, 0), scan.held.get(number)
        wanted = scan.taken.get(number) if self._choice is not None else None
        pieces: Iterable[Piece] = self._pieces(number) if held is None else held
        for unit, piece in enumerate(pieces if wanted != 0 else ()):
            if count == wanted:
                units -= unit
                break
            if self._takes(number, unit):
                count += 1
                yield piece._replace(input=number, unit=unit)
            else:
                self.skipped += 1
        else:
            units = 0 if wanted != 0 else units
        if wanted is not None:
            self.skipped += units
        self.totals[number] = count

    def _taken_of_lines(self, number: int, lines: RecordLines) -> Iterator[Piece]:
        """The same of a large file of records: no other lines are parsed."""
        units, count, behind = len(lines.offsets), 0, 0
        assert self._choice is not None
        wanted = self._choice.taken_of_lines(number)
        for unit, piece in self._reader.pieces_of_lines(self._specs[number], lines, wanted):
            self.skipped += unit - behind
            count, behind = count + 1, unit + 1
            yield piece._replace(input=number, unit=unit)
        self.skipped += units - behind
        self.totals[number] = count

    def _whole_steps(self, number: int) -> Iterator[Plan]:
        """The steps of an array, one of which any unit is taken whole."""
        unit = count = 0
        for plan in self._reader.steps(self._specs[number]):
            lanes, width = len(plan), len(plan[0])
            size = lanes * width
            if any(self._takes(number, unit + at) for at in range(size)):
                count += size
                yield [
                    [
                        piece._replace(input=number, unit=unit + at * lanes + lane)
                        for at, piece in enumerate(pieces)
                    ]
                    for lane, pieces in enumerate(plan)
                ]
            else:
                self.skipped += size
            unit += size
        self.totals[number] = count

    def _takes(self, number: int, unit: int) -> bool:
        return self._choice is None or self._choice.takes(number, unit)

    def _encode(self, plans: list[Plan], as_cue: bool = False) -> list[WorkingMemory]:
        """All plans with their vectors, from one call of the backbone."""
        pieces = [piece for plan in plans for lane in plan for piece in lane]
        waiting = [piece.content for piece in pieces if not piece.is_vector]
        encoded = iter(encoder(self._loaded(), as_cue)(waiting)) if waiting else iter(())
        rows = iter([piece.content if piece.is_vector else next(encoded) for piece in pieces])
        return [
            WorkingMemory(
                np.stack([np.stack([next(rows) for _ in lane]) for lane in plan]),
                [[piece.text for piece in lane] for lane in plan],
                [[piece.place for piece in lane] for lane in plan],
                [[piece.time for piece in lane] for lane in plan],
                [[piece.meta for piece in lane] for lane in plan],
                plan,
            )
            for plan in plans
        ]

    def _loaded(self) -> Backbone:
        if self._backbone is None:
            self._backbone = store_backbone(self._config, self._place, **self._run_options)
            self._check_kinds(isinstance(self._backbone, HfImageBackbone))
        return self._backbone

    def _check_kinds(self, takes_images: bool) -> None:
        """Refuse images for text models and texts for image models; others say so themselves."""
        name = self._config.backbone
        if split_name(name)[0] not in ("hash", "hf", "http", "st", "static"):
            return
        for spec in self._specs:
            if takes_images and spec.kind in ("text", "literal"):
                raise BackboneError(
                    f"{spec.name} is text, and backbone {name!r} encodes images",
                    "give images, or create a store with a backbone for texts",
                )
            if not takes_images and spec.kind == "image":
                raise BackboneError(
                    f"{spec.name} is an image, and backbone {name!r} encodes texts",
                    "create a store with `--backbone hf:ID` of an image model",
                )


def _file_size(spec: InputSpec) -> int:
    """Bytes of the file that an input is; 0 of what is none."""
    try:
        return os.path.getsize(split_key(spec.name)[0]) if spec.kind != "literal" else 0
    except (OSError, ValueError):
        return 0


def _ceil(number: int, size: int) -> int:
    return -(-number // size)


def _bytes_of(piece: Piece) -> int:
    """What a piece takes in memory, about."""
    content: int = piece.content.nbytes if piece.is_vector else 2 * len(piece.text or "")
    return content + _PIECE_BYTES


def _batches(plans: Iterable[Plan]) -> Iterator[list[Plan]]:
    """``plans`` in order, so many together as one call of the backbone takes."""
    batch: list[Plan] = []
    for plan in plans:
        batch.append(plan)
        if len(batch) * len(plan) * len(plan[0]) >= _BATCH_UNITS:
            yield batch
            batch = []
    if batch:
        yield batch


def _ahead(work: Callable[[_Item], _Done], items: Iterable[_Item]) -> Iterator[_Done]:
    """``map(work, items)``, the next item being worked on in a thread while one is used."""
    from concurrent.futures import Future, ThreadPoolExecutor

    worker = ThreadPoolExecutor(1)
    try:
        waiting: Future[_Done] | None = None
        for item in items:
            coming = worker.submit(work, item)
            if waiting is not None:
                yield waiting.result()
            waiting = coming
        if waiting is not None:
            yield waiting.result()
    finally:
        worker.shutdown(cancel_futures=True)
