"""A text to be read, and its bytes as characters: bounded, and refused where they are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Final

from memoria.errors import InputError
from memoria.io.files import reading
from memoria.io.read_options import ReadOptions

PART: Final = 1 << 26  # bytes of a text in memory at a time; as characters up to four times that
_SAMPLE: Final = 1 << 14  # bytes from which an encoding is guessed
_MOST_CHAOS: Final = 0.1  # of a guess, as charset-normalizer measures it


@dataclass(frozen=True)
class TextSource:
    """A text that a form reads.

    Attributes:
        name: what its units have as source.
        path: where it lies, to tell its kind by its name; "" of standard input.
        spoken: what errors call it.
        opened: opens its bytes.
        options: how it is read.
        field: field of its records that was named with it; None leaves it to ``options``.
        tell: takes what is passed over, one line each.
        lines_before: lines of the file before what ``opened`` opens.
    """

    name: str
    path: str
    spoken: str
    opened: Callable[[], IO[bytes]]
    options: ReadOptions
    field: str | None = None
    tell: Callable[[str], None] = lambda line: None
    lines_before: int = 0

    @property
    def text_field(self) -> str | None:
        """The field of a record that holds its text; None: the first that usually does."""
        return self.field or self.options.text_field

    def all_bytes(self) -> bytes:
        """Everything. Raises `InputError` for more than 64 MiB."""
        with reading(self.spoken), self.opened() as file:
            data = file.read(PART + 1)
        if len(data) > PART:
            raise InputError(
                f"{self.spoken}: more than {PART >> 20} MiB", "this form is read whole: split it"
            )
        return data

    def all_text(self) -> str:
        """Everything as text, line ends as they are. Raises `InputError` as `decode`."""
        return decode(self.all_bytes(), self.spoken).removeprefix("\ufeff")

    def bad(self, error: InputError) -> None:
        """Tell of a record that cannot be read, or raise ``error`` unless these are skipped."""
        if not self.options.skip_bad:
            raise InputError(error.message, error.hint or "--skip-bad reads the rest") from None
        self.tell(error.message)


def parts(source: TextSource) -> Iterator[tuple[str, int]]:
    """The text at once or in parts of at most `PART` bytes, each with its offset.

    A part ends with a paragraph if there is one in its second half, else with a line or word.
    """
    left, start, characters = b"", 0, 0
    with reading(source.spoken), source.opened() as file:
        while True:
            data = left + file.read(PART - len(left))
            end = len(data) if len(data) < PART else _good_end(data)
            text = decode(data[:end], source.spoken, start)
            if start == 0:
                text = text.removeprefix("\ufeff")
            yield text, characters
            if len(data) < PART:
                return
            left, start, characters = data[end:], start + end, characters + len(text)


def decode(data: bytes, spoken: str, start: int = 0) -> str:
    """UTF-8 bytes as text; ``start`` is the number of the first in its file.

    Raises:
        InputError: they are not UTF-8 (with the byte, and what they look like) or hold a NUL.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start
        raise not_utf8(spoken, start + at, data[max(0, at - _SAMPLE // 2) :]) from None
    if "\0" in text:
        raise InputError(
            f"{spoken}: not text: byte {start + data.index(0)} is 0",
            "it may be UTF-16 or UTF-32: convert it to UTF-8",
        )
    return text


def not_utf8(spoken: str, byte: int, data: bytes = b"") -> InputError:
    """The error for bytes that are no UTF-8, with the encodings that ``data`` looks like."""
    known = _encodings_of(data[:_SAMPLE])
    hint = "convert it to UTF-8"
    if known:
        names = " or ".join(known)
        hint = f"it looks like {names}: {hint}, such as with `iconv -f {known[0]} -t utf-8`"
    return InputError(f"{spoken}: not UTF-8 text: byte {byte} is invalid", hint)


def check_writable(text: str, where: str) -> None:
    """Raise `InputError` for what no text file could hold: half characters, NULs."""
    if "\0" in text:
        hint = "it may be UTF-16, or no text: convert it, or leave it out"
        raise InputError(f"{where}: character {text.index(chr(0))} is 0 (NUL)", hint)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            f"{where}: character {error.start} is half a character (a lone surrogate)"
        ) from None


def _encodings_of(data: bytes) -> list[str]:
    """Encodings that bytes are likely in, at most three; the guess of one is often wrong."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return ["utf-16"]
    if not data or b"\0" in data:
        return []
    from charset_normalizer import from_bytes

    names = [one.encoding for one in from_bytes(data) if one.chaos <= _MOST_CHAOS]
    names = [name for name in names if name not in ("utf_8", "ascii")]
    return sorted(names, key=lambda name: name != "cp1252")[:3]


def _good_end(data: bytes) -> int:
    """Where to cut a text: behind its last paragraph, line or word, or between two characters."""
    for mark in (b"\n\n", b"\n\r\n", b"\n", b" "):
        end = data.rfind(mark)
        if end > len(data) // 2:
            return end + len(mark)
    end = len(data) - 1
    while end > len(data) - 4 and data[end] & 0xC0 == 0x80:  # within a character
        end -= 1
    return end or len(data)
