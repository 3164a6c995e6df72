"""What a verification found: one `Finding` each, as many as are worth reading."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Final

MOST_FINDINGS: Final = 1000
MOST_ALIKE: Final = 100  # of one kind in one array: the others must have their say too


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be.

    ``path`` is the file or directory below the store, ``array`` its array, ``lane`` and ``step``
    (from 1; one more than the finished steps is the step begun) where it does harm; None where
    that has no meaning. ``kind``: link, missing, unreadable, size, checksum, metadata (a
    ``zarr.json`` of a group or array), archive, root, attributes, vector, steps, log, events,
    pending, texts, sources, commands, era, state, edges, digest, snapshot.
    """

    kind: str
    path: str
    array: str | None
    lane: int | None
    step: int | None
    message: str


@dataclass(frozen=True)
class Note:
    """Something at ``path`` that is no part of the store, and does no harm."""

    path: str
    message: str


@dataclass(frozen=True)
class Repaired:
    """The new store at ``path`` with ``step`` steps, ``lost_steps`` fewer than were committed.

    ``begun`` says whether a step begun was kept, None if there was none.
    """

    path: str
    step: int
    lost_steps: int
    begun: bool | None = None


@dataclass(frozen=True)
class Report:
    """What `verify` found in a store of ``files`` files with ``bytes`` bytes.

    ``step`` steps are committed, the first ``sound_step`` of them sound in every byte. ``more``
    findings are not listed. ``garbage`` counts files and bytes that interrupted writers left.
    """

    path: str
    format: int | None
    step: int
    sound_step: int
    files: int
    bytes: int
    garbage: dict[str, int]
    findings: tuple[Finding, ...]
    more: int = 0
    end_sound: bool = False  # whether what came after the last step is sound,
    begun: bool = False  # a step is begun,
    begun_sound: bool = False  # and it is sound
    notes: tuple[Note, ...] = ()  # what is no part of the store; of many the first

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def document(self) -> dict[str, Any]:
        """As ``memoria verify --json`` prints it."""
        return {
            "path": self.path,
            "sound": self.sound,
            "format": self.format,
            "step": self.step,
            "sound_step": self.sound_step,
            "files": self.files,
            "bytes": self.bytes,
            "garbage": self.garbage,
            "findings": [asdict(finding) for finding in self.findings],
            "more": self.more,
            "notes": [asdict(note) for note in self.notes],
        }


@dataclass
class Findings:
    """Gathers findings, and from which step on the memory cannot be trusted."""

    listed: list[Finding] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    more: int = 0
    spoilt: int = 2**62  # the first step that is not sound
    _alike: Counter[tuple[str, str | None]] = field(default_factory=Counter)

    def add(
        self,
        kind: str,
        path: str,
        message: str,
        *,
        array: str | None = None,
        lane: int | None = None,
        step: int | None = None,
        spoils: bool = False,
    ) -> None:
        """One finding; ``spoils``: its ``step`` and all later ones cannot be trusted."""
        if spoils and step is not None:
            self.spoilt = min(self.spoilt, step)
        alike = kind, array
        if len(self.listed) >= MOST_FINDINGS or self._alike[alike] >= MOST_ALIKE:
            self.more += 1
            return
        self._alike[alike] += 1
        self.listed.append(Finding(kind, path, array, lane, step, message))

    def note(self, path: str, message: str) -> None:
        """Something that is no part of the store."""
        if len(self.notes) < MOST_ALIKE:
            self.notes.append(Note(path, message))

    def also(self, count: int) -> None:
        """``count`` more of what was added last, not worth listing."""
        self.more += count
