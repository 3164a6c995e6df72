"""Pages: their text in blocks, with headings and title beside it. Needs the extra ``read``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from memoria.errors import InputError, MissingExtraError
from memoria.io.forms.markdown import HEADING_SEPARATOR
from memoria.io.forms.source import TextSource, check_writable, decode
from memoria.io.text_unit import Section, TextUnit
from memoria.io.times import read_time

_DECLARED: Final = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?([A-Za-z0-9_-]+)", re.IGNORECASE)
_NOT_READ: Final = frozenset(
    "head script style noscript template svg math iframe object nav button select option input "
    "textarea dialog canvas audio video -comment _comment -doctype".split()
)
_WHOLE: Final = frozenset(("table", "ul", "ol", "dl", "pre"))
_BLOCKS: Final = frozenset(
    "address article aside blockquote body center dd details div dt fieldset figcaption figure "
    "footer form header hr li main p section summary tr caption html".split()
)
_DEEPEST: Final = 256
_MOST_NESTED: Final = 2_000
_TAG: Final = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)")
_NOT_CLOSED: Final = frozenset(  # or not always
    "area base br col embed hr img input link meta source track wbr p li dt dd td th tr tbody "
    "thead tfoot option optgroup colgroup rp rt html head body param frame".split()
)
_DEEPEST_LIST: Final = 16
_TIME_FIELDS: Final = ("article:published_time", "date", "dc.date", "dcterms.created", "pubdate")
_META_FIELDS: Final = ("author", "description", "keywords", "og:site_name")
_GAP: Final = "\n\n"


def html_sections(source: TextSource) -> Iterator[Section]:
    """The text below each heading: paragraphs, and tables, lists and code whole.

    An offset counts in the text of the page, blocks parted by a blank line. ``title`` and some of
    what stands in the page's head is meta; a date there is the time.

    Raises:
        InputError: neither UTF-8 nor of the encoding that it declares.
        MissingExtraError: without `selectolax`.
    """
    data = source.all_bytes()
    declared = _DECLARED.search(data[:4096])
    try:
        text = decode(data, source.spoken).removeprefix("\ufeff")
    except InputError:
        if declared is None or b"\0" in data:
            raise
        text = _decode_declared(data, declared[1].decode("ascii"), source.spoken)
    time, meta, blocks = read_page(text, source.spoken)
    yield from page_sections(blocks, source, time, meta, 0)


def _decode_declared(data: bytes, encoding: str, spoken: str) -> str:
    try:
        text = data.decode(encoding)
    except LookupError:
        why = "which is not known"
    except UnicodeError:
        why = "and is not in it"
    else:
        check_writable(text, spoken)
        return text
    raise InputError(f"{spoken}: declares the encoding {encoding}, {why}", "convert it to UTF-8")


def page_sections(
    blocks: list[tuple[str, str, bool]],
    source: TextSource,
    time: int | None,
    meta: dict[str, Any],
    offset: int,
) -> Iterator[Section]:
    """Blocks as `read_page` has them as sections; prose below one heading is one of them.

    Args:
        blocks: of each the path of headings to it, its text, and whether it stays whole.
        source: the page.
        time: its time.
        meta: what stands beside all of it.
        offset: first character of the first block.
    """
    if source.options.unit == "record":
        text = _GAP.join(text for _, text, _ in blocks)
        yield Section(TextUnit(text, source.name, offset, time, meta or None))
        return
    waiting: list[str] = []
    under, start = "", offset

    def made(text: str, at: int, heading: str, whole: bool) -> Section:
        own = {**meta, "heading": heading} if heading else dict(meta)
        return Section(TextUnit(text, source.name, at, time, own or None), "block" if whole else "")

    for heading, text, whole in blocks:
        if waiting and (whole or heading != under):
            yield made(_GAP.join(waiting), start, under, False)
            waiting = []
        if whole:
            yield made(text, offset, heading, True)
        else:
            start = start if waiting else offset
            under = heading
            waiting.append(text)
        offset += len(text) + len(_GAP)
    if waiting:
        yield made(_GAP.join(waiting), start, under, False)


def read_page(
    text: str, spoken: str
) -> tuple[int | None, dict[str, Any], list[tuple[str, str, bool]]]:
    """Time, meta, and of each block the path of headings to it, its text and if it stays whole.

    Raises:
        InputError: its elements are nested too deeply.
        MissingExtraError: without `selectolax`.
    """
    try:
        from selectolax.lexbor import LexborHTMLParser
    except ImportError:
        raise MissingExtraError(f"{spoken}: reading pages", "read") from None
    if _nests_too_deeply(text):
        raise InputError(f"{spoken}: elements are nested more than {_MOST_NESTED} deep")
    tree = LexborHTMLParser(text.replace("\0", ""))
    meta: dict[str, Any] = {}
    title = tree.css_first("title")
    if title is not None and title.text(strip=True):
        meta["title"] = " ".join(title.text().split())[:500]
    time = None
    for node in tree.css("meta"):
        attributes = node.attributes
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        content = " ".join((attributes.get("content") or "").split())
        if name in _TIME_FIELDS and time is None:
            time = read_time(content)
        elif name in _META_FIELDS and content:
            meta[name.removeprefix("og:")] = content[:1000]
    root = tree.css_first("html")
    if root is not None and (language := root.attributes.get("lang")):
        meta["language"] = language[:20]
    reader = _Reader()
    if tree.body is not None:
        reader.walk(tree.body, 0)
        reader.end_paragraph()
    return time, meta, reader.blocks


def _nests_too_deeply(text: str) -> bool:
    """Whether more elements are open at once than pages have: parsing takes the square of it."""
    depth = 0
    for slash, name in _TAG.findall(text):
        if name.lower() not in _NOT_CLOSED:
            depth = max(0, depth + (-1 if slash else 1))
            if depth > _MOST_NESTED:
                return True
    return False


class _Reader:
    """Collects blocks along a page."""

    def __init__(self) -> None:
        self.blocks: list[tuple[str, str, bool]] = []
        self._words: list[str] = []
        self._headings: list[tuple[int, str]] = []

    def walk(self, node: Any, depth: int) -> None:
        child = node.child
        while child is not None:
            self._take(child, depth)
            child = child.next

    def end_paragraph(self) -> None:
        text = " ".join("".join(self._words).split())
        self._words = []
        if text:
            self._add(text, False)

    def _add(self, text: str, whole: bool) -> None:
        path = HEADING_SEPARATOR.join(name for _, name in self._headings)
        self.blocks.append((path, text, whole))

    def _take(self, node: Any, depth: int) -> None:
        tag = node.tag
        if tag == "-text":
            self._words.append(node.text_content or "")
            return
        if tag in _NOT_READ or depth > _DEEPEST:
            if depth > _DEEPEST and tag not in _NOT_READ:
                self._words.append(node.text())
            return
        if tag == "br":
            self._words.append(" ")
        elif len(tag) == 2 and tag[0] == "h" and tag[1] in "123456":
            self.end_paragraph()
            name = " ".join(node.text().split())
            self._headings = [one for one in self._headings if one[0] < int(tag[1])]
            if name:
                self._headings.append((int(tag[1]), name[:300]))
        elif tag in _WHOLE:
            self.end_paragraph()
            lines = _whole(node, tag)
            if lines:
                self._add(lines, True)
        elif tag in _BLOCKS:
            self.end_paragraph()
            self.walk(node, depth + 1)
            self.end_paragraph()
        else:
            self.walk(node, depth + 1)


def _whole(node: Any, tag: str) -> str:
    """The text of a table, a row a line; of a list, an item a line; of code, as it stands."""
    if tag == "pre":
        return str(node.text()).strip("\n").rstrip()
    if tag == "table":
        rows = [
            " | ".join(" ".join(cell.text().split()) for cell in row.css("td, th"))
            for row in node.css("tr")
        ]
        return "\n".join(row for row in rows if row.replace("|", "").strip())
    return "\n".join(_items(node, tag, 0))


def _items(node: Any, tag: str, depth: int) -> Iterator[str]:
    """The items of a list, those of lists in it further in."""
    mark = "" if tag == "dl" else "- "
    child = node.child
    while child is not None:
        if child.tag in ("li", "dt", "dd"):
            words: list[str] = []
            within: list[Any] = []
            _read_item(child, words, within, 0)
            text = " ".join("".join(words).split())
            if text:
                yield "  " * depth + mark + text
            for one in within if depth < _DEEPEST_LIST else ():
                yield from _items(one, one.tag, depth + 1)
        child = child.next


def _read_item(node: Any, words: list[str], within: list[Any], depth: int) -> None:
    """The words of an item, and the lists within it."""
    child = node.child
    while child is not None:
        if child.tag == "-text":
            words.append(child.text_content or "")
        elif child.tag in ("ul", "ol", "dl"):
            within.append(child)
        elif child.tag not in _NOT_READ and depth < _DEEPEST:
            if child.tag in _BLOCKS or child.tag == "br":
                words.append(" ")
            _read_item(child, words, within, depth + 1)
        child = child.next
