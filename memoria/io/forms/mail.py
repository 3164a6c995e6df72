"""Mails: the body, with subject, people and date beside it. Of a mailbox, each mail by itself."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import IO, Any, Final

from memoria.errors import InputError, MissingExtraError
from memoria.io.files import reading
from memoria.io.forms.html import page_sections, read_page
from memoria.io.forms.source import PART, TextSource
from memoria.io.text_unit import Section, TextUnit
from memoria.io.times import read_time

_HEADERS: Final = {"subject": "subject", "from": "from", "to": "to", "cc": "cc",
                   "message-id": "message_id", "in-reply-to": "in_reply_to"}  # fmt: skip
_MOST_HEADER: Final = 1_000
_MOST_PARSED: Final = 16_000  # characters of a header: its parser takes quadratic time
_QUOTED_FROM: Final = re.compile(rb"^>(>*From )", re.MULTILINE)


def mail_sections(source: TextSource) -> Iterator[Section]:
    """The body of one mail."""
    yield from _sections(source, source.all_bytes(), source.name, source.spoken)


def mailbox_sections(source: TextSource) -> Iterator[Section]:
    """The body of each mail of a file in the form mbox; ``FILE:LINE`` of its beginning is a source.

    Raises:
        InputError: a mail is too large or malformed (unless these are passed over).
    """
    with reading(source.spoken), source.opened() as file:
        for number, data in _mails(file):
            spoken = f"{source.spoken}: the mail in line {number}"
            try:
                if len(data) > PART:
                    raise InputError(f"{spoken}: more than {PART >> 20} MiB")
                yield from _sections(source, data, f"{source.name}:{number}", spoken)
            except InputError as error:
                source.bad(error)


def _mails(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The line that each mail begins in, and its bytes."""
    lines: list[bytes] = []
    size = begin = 0
    is_blank = True
    for number, line in enumerate(file, 1):
        if is_blank and line.startswith(b"From "):
            if lines:
                yield begin, b"".join(lines)
            lines, size, begin = [], 0, number
        elif begin:
            size += len(line)
            if size <= 2 * PART:  # refused when it is whole
                lines.append(line)
        is_blank = not line.strip()
    if lines:
        yield begin, b"".join(lines)


def _sections(source: TextSource, data: bytes, name: str, spoken: str) -> Iterator[Section]:
    data = _QUOTED_FROM.sub(rb"\1", data)
    try:
        mail = email.message_from_bytes(data, policy=_BoundedHeaders())
        assert isinstance(mail, EmailMessage)
        time, meta = _heads(mail)
        body, is_page = _body(mail)
        files = [str(one.get_filename()) for one in mail.iter_attachments() if one.get_filename()]
    except (InputError, MissingExtraError):
        raise
    except Exception as error:  # what the parser makes of malformed headers is many kinds
        raise InputError(f"{spoken}: not a readable mail: {error}") from None
    if files:
        meta["attachments"] = [one[:200] for one in files[:20]]
    if is_page:
        _, _, blocks = read_page(body, spoken)
        own = TextSource(name, source.path, spoken, source.opened, source.options)
        yield from page_sections(blocks, own, time, meta, 0)
    else:
        text = body.replace("\r\n", "\n").replace("\0", "")
        yield Section(TextUnit(text, name, 0, time, meta or None))


class _BoundedHeaders(email.policy.EmailPolicy):
    """The default policy, which reads only the beginning of a long header."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return super().header_fetch_parse(name, value[:_MOST_PARSED])


def _heads(mail: EmailMessage) -> tuple[int | None, dict[str, Any]]:
    meta: dict[str, Any] = {}
    for header, key in _HEADERS.items():
        value = _header(mail, header)
        if value:
            meta[key] = value
    return read_time(_header(mail, "date")), meta


def _header(mail: EmailMessage, name: str) -> str:
    try:
        value = mail.get(name)
    except Exception:  # a header that the standard's grammar does not know
        return ""
    text = " ".join(str(value or "").split())
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")[:_MOST_HEADER]


def _body(mail: EmailMessage) -> tuple[str, bool]:
    """The text of a mail, and whether it is a page; plain text is preferred."""
    part = mail.get_body(preferencelist=("plain", "html"))
    if part is None:
        return "", False
    is_page = part.get_content_type() == "text/html"
    try:
        text = part.get_content()
    except (LookupError, UnicodeError):  # an encoding that nobody knows
        raw = part.get_payload(decode=True)
        text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
    return str(text).encode("utf-8", "replace").decode("utf-8"), is_page
