"""Inputs to working memories: what ``add``, ``remind --cue`` and ``step`` feed a store with.

With one lane, inputs are read one after another and cut into working memories of ``wm_length``
units. With B lanes, lane i reads input i. A unit is a part of a text, an image, or a row of an
array [N, D]. Arrays of more axes hold working memories as they are, all lanes of them.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from memoria.backbones import Backbone, OptionValue, check_backbone, load_backbone, split_name
from memoria.backbones.base import encoder
from memoria.backbones.hf_image import HfImageBackbone
from memoria.config import MemoriaConfig
from memoria.errors import BackboneError, ConfigError, InputError
from memoria.io.inputs import InputReader, InputSpec, Piece, Plan, TextFile, WorkingMemory
from memoria.io.read_options import ReadOptions

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


class InputStream:
    """The working memories of ``inputs`` (files, ``-`` for standard input) and then of ``texts``.

    Iterating yields `WorkingMemory` after `WorkingMemory`, at most ``limit``; it reads lazily and
    encodes in batches with `store_backbone`, loaded when the first text or image comes. ``unit``,
    or how texts are read, and ``wm_length`` default to the configuration's.
    ``last_offset(source)`` gives the last offset known from a source; units up to it are passed
    over and counted in ``skipped``. ``notices`` tells what a user should know, after iterating.

    Raises on construction what can be said without reading: `InputError` for what is missing,
    empty or unknown, `ShapeError` for arrays that do not fit, `BackboneError` for text or images
    in a store of plain vectors or another ``backbone`` than its; `StorageError` where the system
    refuses. ``backbone`` may also name another folder with the same weights; ``place`` is the one
    that the store's settings name.
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
        last_offset: Callable[[str], int | None] | None = None,
        backbone: str | None = None,
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
        self._backbone: Backbone | None = None
        self._last_offset = last_offset
        self._known: dict[str, int | None] = {}
        self._reader = InputReader(
            config.lanes,
            config.hidden_dim,
            inputs,
            texts,
            stdin,
            config.unit if unit is None else unit,
        )
        self._specs = self._reader.specs
        self._check_mixture()
        if config.backbone == "array":
            self._refuse_all_but_arrays()
        self.notices: list[str] = []
        self.skipped = 0
        self.passed: list[Piece] = []  # units of text files that were known
        self.totals: dict[str, int] = {}  # units of each text file that was read to its end
        self._held: list[Plan] | None = None  # what `count` has read

    def text_files(self) -> list[TextFile]:
        """The text files among the inputs, each once, as they are now."""
        return self._reader.text_files()

    def __iter__(self) -> Iterator[WorkingMemory]:
        held, self._held = self._held, None
        batches = _batches(self._plans() if held is None else held)
        # What is read already can be encoded ahead: nothing is asked of the store meanwhile.
        ahead = held is not None and split_name(self._config.backbone)[0] in _SLOW
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

    def count(self) -> int:
        """How many working memories there are. Reads every input, and so finds its faults.

        What was read is held for the next iteration, so that no input is read twice, unless it is
        larger than `_HELD_BYTES`.
        """
        held: list[Plan] = []
        count = size = 0
        for plan in self._plans():
            count += 1
            if size <= _HELD_BYTES:
                size += sum(_bytes_of(piece) for lane in plan for piece in lane)
                held.append(plan)
        self._held = held if size <= _HELD_BYTES else None
        return count

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
            memory.inputs * self._lanes,
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

    def _plans(self) -> Iterator[Plan]:
        """The working memories, not encoded yet. Starts over at every call."""
        self.notices, self.skipped, self.passed, self.totals = [], 0, [], {}
        return itertools.islice(self._all_plans(), self._limit)

    def _all_plans(self) -> Iterator[Plan]:
        if self._lanes > 1 and self._specs[0].kind != "steps":
            yield from self._side_by_side()
            return
        for whole, group in itertools.groupby(self._specs, lambda s: s.kind == "steps"):
            if whole:
                for plan in itertools.chain.from_iterable(map(self._reader.steps, group)):
                    if any(self._is_new(piece) for piece in plan[0]):
                        yield plan
                    else:
                        self.skipped += len(plan) * len(plan[0])
                continue
            pieces = self._new(itertools.chain.from_iterable(map(self._counted, group)))
            while taken := list(itertools.islice(pieces, self._width)):
                yield [taken]

    def _side_by_side(self) -> Iterator[Plan]:
        """Lane i from input i, as long as each of them lasts."""
        lanes = [
            self._new(itertools.chain.from_iterable(map(self._counted, group)))
            for group in self._by_lane()
        ]
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

    def _new(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        for piece in pieces:
            if self._is_new(piece):
                yield piece
            else:
                self.skipped += 1
                if piece.input:
                    self.passed.append(piece)

    def _counted(self, spec: InputSpec) -> Iterator[Piece]:
        """The units of an input; counts them in ``totals`` when it has come to its end."""
        count = 0
        for count, piece in enumerate(self._reader.pieces(spec), 1):  # noqa: B007
            yield piece
        if piece.input:
            self.totals[piece.input] = self.totals.get(piece.input, 0) + count

    def _is_new(self, piece: Piece) -> bool:
        """Whether the piece lies behind what is known from its source."""
        if self._last_offset is None:
            return True
        source, offset = piece.place
        if source not in self._known:
            self._known[source] = self._last_offset(source)
        known = self._known[source]
        return known is None or offset > known

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
                [[piece.input for piece in lane] for lane in plan],
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
