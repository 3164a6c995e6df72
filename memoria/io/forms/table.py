"""Which form a text has: by the ending of its name, and by its content where that says nothing."""

from __future__ import annotations

import json
import os
import re
from typing import Final, NamedTuple

LANGUAGES: Final = {  # of code, by the ending of its name
    ".py": "python", ".pyi": "python", ".js": "javascript", ".mjs": "javascript",
    ".jsx": "javascript", ".ts": "typescript", ".tsx": "typescript", ".go": "go", ".rs": "rust",
    ".java": "java", ".kt": "kotlin", ".scala": "scala", ".swift": "swift", ".c": "c", ".h": "c",
    ".cc": "c++", ".cpp": "c++", ".cxx": "c++", ".hh": "c++", ".hpp": "c++", ".cs": "c#",
    ".rb": "ruby", ".php": "php", ".pl": "perl", ".lua": "lua", ".r": "r", ".jl": "julia",
    ".sh": "shell", ".bash": "shell", ".zsh": "shell", ".ps1": "powershell", ".sql": "sql",
    ".ex": "elixir", ".exs": "elixir", ".hs": "haskell", ".ml": "ocaml", ".dart": "dart",
}  # fmt: skip
HEAD: Final = 1 << 14  # bytes that a form is told by

ENDINGS: Final[dict[str, str]] = {
    **dict.fromkeys((".txt", ".text"), "plain"),
    **dict.fromkeys((".md", ".markdown"), "markdown"),
    **dict.fromkeys((".jsonl", ".ndjson"), "jsonl"),
    ".json": "json",
    **dict.fromkeys((".csv", ".tsv"), "table"),
    ".eml": "mail",
    ".mbox": "mailbox",
    **dict.fromkeys((".html", ".htm", ".xhtml"), "html"),
    ".pdf": "pdf",
    **dict.fromkeys(LANGUAGES, "code"),
}
RECORDS: Final = frozenset(("jsonl", "json", "table"))  # forms whose records have fields
BY_CONTENT: Final = frozenset(("", ".log"))  # endings that say nothing, as those not listed

_PAGE: Final = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:(?><!--.*?-->)\s*+)*+<(?:!doctype\s+)?html\b",
    re.IGNORECASE | re.DOTALL,
)
_MAILBOX: Final = re.compile(rb"From \S+ .*\d{4}")
_HEADER: Final = re.compile(
    rb"(?:from|to|subject|date|received|return-path|message-id|mime-version|delivered-to|cc|"
    rb"reply-to|content-type|dkim-signature|in-reply-to|x-[a-z-]+):",
    re.IGNORECASE,
)
_SHEBANG: Final = re.compile(rb"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+)*)?([a-z]+)[0-9.]*\b")
_INTERPRETERS: Final = {
    b"python": "python", b"sh": "shell", b"bash": "shell", b"zsh": "shell", b"node": "javascript",
    b"ruby": "ruby", b"perl": "perl", b"lua": "lua", b"php": "php",
}  # fmt: skip
_TIMED: Final = re.compile(rb"\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MAGIC: Final = (
    (b"PK\x03\x04", "a zip archive"), (b"\x1f\x8b", "gzip"), (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a SQLite database"), (b"\xfd7zXZ", "xz"), (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"), (b"Rar!", "a rar archive"), (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x93NUMPY", "a .npy array"), (b"ID3", "sound"), (b"OggS", "sound"), (b"RIFF", "sound"),
    (b"\x89HDF", "HDF5"), (b"PAR1", "Parquet"), (b"\xcf\xfa\xed\xfe", "a program"),
)  # fmt: skip
_IMAGES: Final = (  # .bmp begins with two letters of texts
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF8",
)


class Form(NamedTuple):
    """A form, and of code its language."""

    name: str
    language: str = ""

    @property
    def has_records(self) -> bool:
        """Whether it consists of records with fields."""
        return self.name in RECORDS


def form_by_name(path: str) -> Form | None:
    """The form that the ending of a name tells; None where it says nothing."""
    ending = os.path.splitext(path)[1].lower()
    name = ENDINGS.get(ending)
    return None if name is None else Form(name, LANGUAGES.get(ending, ""))


def form_by_content(head: bytes, is_log: bool = False) -> Form | None:
    """The form of a text that begins with ``head``; None for what is no text in UTF-8.

    ``is_log``: whether its lines, if they are no records, each stand for themselves.
    """
    if head.startswith(b"%PDF-"):
        return Form("pdf")
    if not is_text(head):
        return None
    bare = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if _PAGE.match(bare):
        return Form("html")
    if _MAILBOX.match(bare) and _is_mail(bare.partition(b"\n")[2]):
        return Form("mailbox")
    if bare.startswith(b"{") and _is_jsonl(bare, len(head) >= HEAD):
        return Form("jsonl")
    if re.match(rb"\[\s*\{\s*\"|\{\s*\n\s*\"", bare):
        return Form("json")
    if _is_mail(bare):
        return Form("mail")
    shebang = _SHEBANG.match(bare)
    if shebang and shebang[1] in _INTERPRETERS:
        return Form("code", _INTERPRETERS[shebang[1]])
    return Form("log" if is_log or _is_log(bare) else "plain")


def is_image(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a picture."""
    return head.startswith(_IMAGES) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def told_by(head: bytes) -> str:
    """What a file that is no text looks like, for people; "" where that is not known."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


def is_text(head: bytes) -> bool:
    """Whether bytes begin a text in UTF-8: characters, maybe cut within the last, few controls."""
    for cut in range(4):
        try:
            head[: len(head) - cut].decode("utf-8")
            break
        except UnicodeDecodeError as error:
            if error.start < len(head) - 4 or len(head) < HEAD:
                return False
    else:
        return False
    return len(_CONTROL.findall(head)) * 100 <= len(head) and b"\0" not in head


def _is_jsonl(head: bytes, is_cut: bool) -> bool:
    """Whether the first line is an object of JSON, and most of those after it may be."""
    lines = head.splitlines()
    whole = lines[:-1] if is_cut and len(lines) > 1 else lines
    checked = [line for line in whole if line.strip()][:4]
    if is_cut and len(lines) == 1:
        return re.match(rb"\{\s*\"[^\"]*\"\s*:", head) is not None
    try:
        first = json.loads(checked[0])
    except (ValueError, RecursionError):
        return False
    objects = sum(line.lstrip().startswith(b"{") for line in checked)
    return isinstance(first, dict) and 2 * objects > len(checked)


def _is_mail(head: bytes) -> bool:
    """Whether a text begins with three lines as heads of mails have them."""
    count = 0
    for line in head.splitlines():
        if line[:1] in (b" ", b"\t") and count:
            continue
        if not line.strip() or not re.match(rb"[!-9;-~]+:", line):
            break
        count += _HEADER.match(line) is not None
    return count >= 3


def _is_log(head: bytes) -> bool:
    lines = [line for line in head.splitlines()[:20] if line.strip()]
    return len(lines) > 1 and 2 * sum(_TIMED.match(line) is not None for line in lines) > len(lines)
