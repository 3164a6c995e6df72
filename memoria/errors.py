"""What can go wrong, as a tree by what the caller would do about it.

Every error reads as one line: what was wrong, with the value, and what to do.
``exit_code`` is what the command line exits with (DESIGN 6).
"""

from __future__ import annotations


class MemoriaError(Exception):
    """Base of every error of this package. ``hint`` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}; {self.hint}"


class UsageError(MemoriaError):
    """The call itself is wrong: other arguments would work."""

    exit_code = 2


class ConfigError(UsageError, ValueError):
    """A setting is out of its bounds, unknown, or disagrees with the store's."""


class InputError(UsageError, ValueError):
    """The data given cannot be remembered: not an array, empty, NaN, Inf, wrong type."""


class NoTextError(InputError):
    """A text has nothing in it but white space."""


class ShapeError(InputError):
    """The data has another shape than the memory needs."""

    def __init__(self, what: str, expected: str, received: object, hint: str | None = None) -> None:
        super().__init__(f"{what}: expected shape {expected}, received {received}", hint)
        self.expected = expected
        self.received = received


class StateError(UsageError, RuntimeError):
    """The call comes at the wrong moment of a step, such as remind before add."""


class BackboneError(UsageError):
    """The backbone is unknown, does not load, or is not the one the store was made with."""


class MissingExtraError(MemoriaError, ImportError):
    """An optional dependency is needed; the message holds the pip line."""

    def __init__(self, what: str, extra: str, hint: str | None = None) -> None:
        super().__init__(
            f"{what} needs the extra '{extra}'", hint or f"pip install 'memoria-engrams[{extra}]'"
        )


class StorageError(MemoriaError, OSError):
    """The disk said no: permission, no space left, input or output error."""

    def __str__(self) -> str:  # OSError brings its own
        return MemoriaError.__str__(self)


class StoreExistsError(MemoriaError):
    """There is something at the path already."""


class StoreNotFoundError(MemoriaError):
    """There is no store at the path."""

    exit_code = 10


class StoreLockedError(MemoriaError):
    """Another process writes to the store."""

    exit_code = 11


class OtherFormatError(MemoriaError):
    """The store has another format than this program reads and writes."""

    exit_code = 12


class DamageError(MemoriaError):
    """The store's bytes are not what was committed: a checksum, a missing chunk, a broken rule."""

    exit_code = 3


def first_line(error: BaseException) -> str:
    """The first line that says something of an error from elsewhere, else its type's name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
