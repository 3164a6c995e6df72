"""What each form of text becomes: units with their context, time and meta."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from memoria.errors import InputError, MemoriaError
from memoria.io.files import classify, find_form
from memoria.io.read_options import ReadOptions
from memoria.io.text_unit import TextUnit, hash_unit
from memoria.io.texts import part_break, read_part, read_texts
from memoria.store.payloads import encode_meta

DAY = 86_400_000


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(name: str, content: str | bytes, unit: str = "sentence", **options: Any) -> list[TextUnit]:
    data = content.encode() if isinstance(content, str) else content
    Path(name).write_bytes(data)
    return list(read_texts(name, ReadOptions(unit, **options)))


def texts(units: list[TextUnit]) -> list[str]:
    return [unit.text for unit in units]


def under(units: list[TextUnit]) -> list[tuple[str, str]]:
    return [((unit.meta or {}).get("heading", ""), unit.text) for unit in units]


WIDE = ["\u6f22" * 1_200] * 25


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", f"text,{','.join(f'c{at}' for at in range(25))}\nHi,{','.join(WIDE)}\n"),
        ("a.jsonl", json.dumps({"text": "Hi", **{f"c{at}": one for at, one in enumerate(WIDE)}})),
        ("a.md", "---\n" + "".join(f"c{a}: {one}\n" for a, one in enumerate(WIDE)) + "---\nHi"),
    ],
)
def test_a_store_has_room_for_all_that_stands_beside_a_text(name: str, content: str) -> None:
    [unit] = read(name, content)
    assert unit.text == "Hi"
    assert encode_meta(unit.meta)
    assert len(unit.meta or {}) > 5


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ('{"text": "Hi", "meta": {"a": NaN}}', "line 2: meta: a number is not finite"),
        ('{"text": "Hi", "meta": {"a": [1e999]}}', "line 2: meta: a number is not finite"),
        (
            json.dumps({"text": "Hi", "meta": {"a": "x" * 70_000}}),
            "line 2: meta of 70009 bytes, at most 65536 are kept",
        ),
        ('{"text": null}', "line 2: field 'text' is null, not a text"),
        ('{"text": true}', "line 2: field 'text' is a truth value, not a text"),
        ('{"text": {"a": "b"}}', "line 2: field 'text' is an object, not a text"),
        ('{"text": [1]}', "line 2: field 'text' is a list, not a text"),
        (f'{{"text": "Hi", "n": {"9" * 5_000}}}', "not JSON: a number has more than 4300 digits"),
    ],
)
def test_a_record_that_no_store_keeps_is_named(record: str, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        read("a.jsonl", f'{{"text": "Good."}}\n{record}\n')
    assert texts(read("a.jsonl", f'{{"text": "Good."}}\n{record}\n', skip_bad=True)) == ["Good."]


def test_toml_above_a_note_may_hold_what_json_has_not() -> None:
    [unit] = read("a.md", "+++\nat = 07:32:00\nday = 1979-05-27\nx = nan\ny = -inf\n+++\nHi.")
    assert unit.meta == {"at": "07:32:00", "day": "1979-05-27"}


# -- Markdown --------------------------------------------------------------------------------------

NOTE = """---
title: Garden
date: 1970-01-03
tags: [bees, spring]
draft: false
author:
  name: Ada
---
First words. More words.

# Bees

They fly far. They sting.

## In *spring*

- one
  goes on

  further
- two

| who | what |
|-----|------|
| bee | honey |

```python
# no heading
x = 1

y = 2
```

Honey
=====

Sweet!
"""


def test_markdown_has_headings_beside_and_keeps_tables_lists_and_code_whole() -> None:
    units = read("note.md", NOTE)
    assert under(units) == [
        ("", "First words."),
        ("", "More words."),
        ("Bees", "They fly far."),
        ("Bees", "They sting."),
        ("Bees > In spring", "- one\n  goes on\n\n  further\n- two"),
        ("Bees > In spring", "| who | what |\n|-----|------|\n| bee | honey |"),
        ("Bees > In spring", "```python\n# no heading\nx = 1\n\ny = 2\n```"),
        ("Honey", "Sweet!"),
    ]
    assert {unit.time for unit in units} == {2 * DAY}
    told = {"title": "Garden", "tags": ["bees", "spring"], "draft": False, "author.name": "Ada"}
    assert units[0].meta == told
    for unit in units:
        assert NOTE[unit.offset :].startswith(unit.text)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n\n## B\n\n# C\n\nText.", [("C", "Text.")]),
        ("Aa. Bb.\n\nCc.", [("", "Aa."), ("", "Bb."), ("", "Cc.")]),
        ("Intro line\n---\nText.", [("Intro line", "Text.")]),
        ("Text.\n\n---\n\nMore.", [("", "Text."), ("", "More.")]),
        ("a | b\n--- | ---\n1 | 2\n\nEnd.", [("", "a | b\n--- | ---\n1 | 2"), ("", "End.")]),
        ("Said:\na | b\n--- | ---\n1 | 2", [("", "Said:"), ("", "a | b\n--- | ---\n1 | 2")]),
        ("~~~\n# x\n~~~\nText.", [("", "~~~\n# x\n~~~"), ("", "Text.")]),
        ("```\nnever closed\n\n# x", [("", "```\nnever closed\n\n# x")]),
        ("Text.\n\n    code\n\n    more\n\nEnd.",
         [("", "Text."), ("", "code\n\n    more"), ("", "End.")]),
        ("1. one\n2. two\nlazy\n\nEnd.", [("", "1. one\n2. two\nlazy"), ("", "End.")]),
        ("- a\n  ```\n  # x\n  ```\n- b", [("", "- a\n  ```\n  # x\n  ```\n- b")]),
        ("#tag is no heading.", [("", "#tag is no heading.")]),
        ("# A [link](http://x) `b` #\nText.", [("A link b", "Text.")]),
        ("---\nnot: closed\n\nText.", [("", "not: closed"), ("", "Text.")]),
        ("---\nThis is prose between rules\n---\nText.",
         [("This is prose between rules", "Text.")]),
        ("+++\ntitle = 'T'\n+++\nText.", [("", "Text.")]),
        ("> quoted. words.", [("", "> quoted."), ("", "words.")]),
    ],
)  # fmt: skip
def test_markdown_forms(text: str, expected: list[tuple[str, str]], end: str) -> None:
    found = under(read("a.md", text.replace("\n", end)))
    assert found == [(heading, text.replace("\n", end)) for heading, text in expected]


def test_lines_and_windows_cut_also_what_stays_whole() -> None:
    assert texts(read("a.md", "- one\n- two", "line")) == ["- one", "- two"]
    assert texts(read("a.md", "# A\n\n- one two", "window:2")) == ["- one", "two"]
    assert texts(read("a.md", "---\na: 1\n---\n# A\n\nB. C.\n", "record")) == ["# A\n\nB. C."]


def test_a_note_of_headings_alone_holds_no_text() -> None:
    with pytest.raises(InputError, match="holds no text"):
        read("a.md", "# Title\n\n## Part\n")


# -- records ---------------------------------------------------------------------------------------


def record(given: dict[str, Any], unit: str = "sentence", **options: Any) -> list[TextUnit]:
    return read("a.jsonl", json.dumps(given) + "\n", unit, **options)


@pytest.mark.parametrize(
    ("given", "options", "text", "time", "meta"),
    [
        ({"text": "Hi", "who": "Ann", "n": 3, "ok": True, "x": None, "tags": ["a"]}, {},
         "Hi", None, {"who": "Ann", "n": 3, "ok": True, "tags": ["a"]}),
        ({"message": {"content": "Hi", "role": "user"}, "id": "7"}, {},
         "Hi", None, {"message.role": "user", "id": "7"}),
        ({"message": {"content": "Hi"}, "text": "other"}, {"text_field": "message.content"},
         "Hi", None, {"text": "other"}),
        ({"a": [{"b": "Hi"}]}, {"text_field": "a.0.b"}, "Hi", None, None),
        ({"role": "user", "content": [{"type": "text", "text": "A."}, {"type": "image"}]}, {},
         "A.", None, {"role": "user"}),
        ({"text": "Hi", "timestamp": 1_700_000_000}, {}, "Hi", 1_700_000_000_000, None),
        ({"text": "Hi", "timestamp": 1_700_000_000_123}, {}, "Hi", 1_700_000_000_123, None),
        ({"text": "Hi", "timestamp": "1700000000.5"}, {}, "Hi", 1_700_000_000_500, None),
        ({"text": "Hi", "date": "1970-01-02"}, {}, "Hi", DAY, None),
        ({"text": "Hi", "date": "Fri, 2 Jan 1970 00:00:00 +0000"}, {}, "Hi", DAY, None),
        ({"text": "Hi", "date": "soon"}, {}, "Hi", None, {"date": "soon"}),
        ({"text": "Hi", "when": {"at": "1970/1/2"}}, {"time_field": "when.at"}, "Hi", DAY, None),
        ({"text": "Hi", "time": 1500}, {}, "Hi", 1500, None),
        ({"text": "Hi", "long": "x" * 5000}, {}, "Hi", None, None),
        ({"text": "Hi", "kind": "a", "meta": {"kind": "b"}}, {}, "Hi", None, {"kind": "b"}),
    ],
)  # fmt: skip
def test_fields_of_records(
    given: dict[str, Any],
    options: dict[str, Any],
    text: str,
    time: int | None,
    meta: dict[str, Any] | None,
) -> None:
    [unit] = record(given, **options)
    assert (unit.text, unit.time, unit.meta) == (text, time, meta)


def test_the_field_is_part_of_the_source_unless_it_is_the_usual_one() -> None:
    Path("qa.jsonl").write_text('{"q":"What?","a":"That."}\n')
    assert [unit.source for unit in read_texts("qa.jsonl:q")] == ["qa.jsonl:1:q"]
    assert [unit.source for unit in read_texts("qa.jsonl:a")] == ["qa.jsonl:1:a"]
    Path("t.jsonl").write_text('{"text":"What?","a":"That."}\n')
    assert [unit.source for unit in read_texts("t.jsonl:text")] == ["t.jsonl:1"]


def test_a_conversation_a_line() -> None:
    units = record(
        {
            "id": "c1",
            "messages": [
                {"role": "user", "content": "Where? Now!"},
                {"role": "assistant", "content": None, "tool_calls": []},
                {"role": "assistant", "content": "There.", "time": "1970-01-02"},
            ],
        }
    )
    assert [(unit.text, (unit.meta or {})["role"], unit.time) for unit in units] == [
        ("Where?", "user", None),
        ("Now!", "user", None),
        ("There.", "assistant", DAY),
    ]
    assert all((unit.meta or {})["id"] == "c1" for unit in units)
    assert len({unit.offset for unit in units}) == 3
    shared = {"conversations": [{"from": "human", "value": "A."}, {"from": "gpt", "value": "B."}]}
    assert texts(record(shared)) == ["A.", "B."]


def test_a_record_stays_whole_when_asked() -> None:
    assert texts(record({"text": "One. Two.\n\nThree."}, "record")) == ["One. Two.\n\nThree."]
    assert texts(record({"name": "Ada", "city": "Oslo"}, "record")) == ["name: Ada\ncity: Oslo"]


BAD = b'{"text": "One."}\n{"text": \n{"t": "x"}\n[1]\n{"text": "\xff"}\n{"text": "Two."}\n'


def test_bad_records_are_told_and_passed_over() -> None:
    Path("a.jsonl").write_bytes(BAD)
    with pytest.raises(InputError, match=r"a\.jsonl: line 2: not JSON.*"):
        list(read_texts("a.jsonl"))
    told: list[str] = []
    units = list(read_texts("a.jsonl", ReadOptions(skip_bad=True), tell=told.append))
    assert texts(units) == ["One.", "Two."]
    assert [line.split(":")[1] for line in told] == [" line 2", " line 3", " line 4", "5"]


def test_a_time_field_must_hold_times() -> None:
    with pytest.raises(InputError, match=r"line 1: field 'when' is not a time: 'soon'"):
        record({"text": "Hi", "when": "soon"}, time_field="when")
    assert record({"text": "Hi", "when": None}, time_field="when")[0].time is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text,who\nOne. Two.,Ann\nThree,\n",
         [("One.", 2, {"who": "Ann"}), ("Two.", 2, {"who": "Ann"}), ("Three", 3, None)]),
        ('\ufeffwho;text\nAnn;"a; b\nc"\nBen;d\n',
         [("a; b\nc", 2, {"who": "Ann"}), ("d", 4, {"who": "Ben"})]),
        ("who\ttext\r\nAnn\tHi there\r\n", [("Hi there", 2, {"who": "Ann"})]),
        ("who,text\rAnn,Hi\rBen,Ho\r", [("Hi", 2, {"who": "Ann"}), ("Ho", 3, {"who": "Ben"})]),
        ('\n"first\nname",text\nAnn,Hi', [("Hi", 4, {"first\nname": "Ann"})]),
    ],
)  # fmt: skip
def test_tables(content: str, expected: list[tuple[str, int, Any]]) -> None:
    units = read("a.csv", content)
    assert [(unit.text, unit.source, unit.meta) for unit in units] == [
        (text, f"a.csv:{line}", meta) for text, line, meta in expected
    ]


def test_a_table_whose_first_row_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="line 1: not a row: field larger than field limit"):
        read("a.csv", "text" + "x" * (1 << 24) + "\nhello\n")


def test_a_table_without_a_text_says_its_columns() -> None:
    with pytest.raises(InputError, match=r"line 2: no field 'text'; it has city, name"):
        read("a.csv", "name,city\nAda,Oslo\n")
    assert texts(read("a.csv", "name,city\nAda,Oslo\n", "record")) == ["name: Ada\ncity: Oslo"]
    assert [u.text for u in read_texts("a.csv:city")] == ["Oslo"]
    with pytest.raises(InputError, match="line 3: 3 cells, 2 columns are named"):
        read("a.csv", "text,b\nx,y\nx,y,z\n")
    assert texts(read("a.csv", "text,b\nx,y\nx,y,z\nu,v\n", skip_bad=True)) == ["x", "u"]


def test_a_document_of_records() -> None:
    units = read("a.json", json.dumps([{"text": "A."}, {"text": "B.", "n": 1}]))
    assert [(unit.text, unit.source, unit.meta) for unit in units] == [
        ("A.", "a.json:1", None),
        ("B.", "a.json:2", {"n": 1}),
    ]


# -- mail ------------------------------------------------------------------------------------------

MAIL = """From: Ann Lee <ann@example.org>
To: ben@example.org
Subject: =?utf-8?q?The_h=C3=B6ney?=
Date: Fri, 02 Jan 1970 00:00:00 +0000

It is here. Come!
"""
PAGE_MAIL = """From: ann@example.org
Subject: Page
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<h1>News</h1><p>Bees came.</p>
"""


def test_mail() -> None:
    units = read("a.eml", MAIL)
    assert texts(units) == ["It is here.", "Come!"]
    assert units[0].time == DAY
    assert units[0].meta == {
        "subject": "The höney",
        "from": "Ann Lee <ann@example.org>",
        "to": "ben@example.org",
    }
    [page] = read("b.eml", PAGE_MAIL)
    assert (page.text, (page.meta or {})["heading"]) == ("Bees came.", "News")


def test_a_long_header_costs_no_more_than_a_short_one() -> None:
    heads = f"From: a@b.example\nTo: {'a@b.example, ' * 100_000}\nSubject: {'word ' * 200_000}\n"
    [unit] = read("a.eml", f"{heads}\nBody.\n")
    assert unit.text == "Body."
    assert [len((unit.meta or {})[key]) for key in ("to", "subject")] == [1_000, 1_000]


def test_a_mailbox_has_a_source_a_mail() -> None:
    begin = "From ann@example.org Fri Jan  2 00:00:00 1970\n"
    body = MAIL.replace("Come!", "Come!\n>From me.")
    units = read("in.mbox", begin + body + "\n" + begin + PAGE_MAIL)
    assert [(unit.source, unit.text) for unit in units] == [
        ("in.mbox:1", "It is here."),
        ("in.mbox:1", "Come!"),
        ("in.mbox:1", "From me."),
        ("in.mbox:10", "Bees came."),
    ]


def test_an_attachment_is_named_and_not_read() -> None:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["Subject"] = "With a file"
    mail.set_content("See the file.")
    mail.add_attachment(b"\x00\x01", maintype="application", subtype="pdf", filename="bees.pdf")
    [unit] = read("a.eml", mail.as_bytes())
    assert (unit.text, (unit.meta or {})["attachments"]) == ("See the file.", ["bees.pdf"])


# -- pages and papers ------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html><html lang="en"><head><title>Bee
 life</title><meta property="article:published_time" content="1970-01-02T00:00:00Z">
<script>var x = "no";</script></head><body><nav>Home</nav><h1>Bees</h1>
<p>They <b>fly</b> far. They sting.</p><ul><li>one</li><li>two</li></ul>
<table><tr><th>who</th><th>what</th></tr><tr><td>bee</td><td>honey</td></tr></table>
<h2>Hives</h2><div>Wood.<br>Straw.</div><pre>a
  b</pre></body></html>"""


def test_pages() -> None:
    units = read("a.html", PAGE)
    assert under(units) == [
        ("Bees", "They fly far."),
        ("Bees", "They sting."),
        ("Bees", "- one\n- two"),
        ("Bees", "who | what\nbee | honey"),
        ("Bees > Hives", "Wood."),
        ("Bees > Hives", "Straw."),
        ("Bees > Hives", "a\n  b"),
    ]
    assert {(unit.time, (unit.meta or {})["title"]) for unit in units} == {(DAY, "Bee life")}
    offsets = [unit.offset for unit in units]
    assert offsets == sorted(set(offsets))


def test_lists_in_lists_are_told_once() -> None:
    page = "<ul><li>one <b>big</b><ul><li>two</li></ul></li><li><p>three</p></li></ul>"
    assert texts(read("a.html", page)) == ["- one big\n  - two\n- three"]


def test_a_page_may_declare_its_encoding() -> None:
    page = '<html><head><meta charset="{}"></head><body>Caf\u00e9.</body></html>'
    [unit] = read("a.html", page.format("iso-8859-1").encode("latin-1"))
    assert unit.text == "Café."
    with pytest.raises(InputError, match="not UTF-8"):
        read("b.html", b"<html><body>Caf\xe9.</body></html>")
    with pytest.raises(InputError, match="declares the encoding nothing, which is not known"):
        read("b.html", page.format("nothing").encode("latin-1"))
    with pytest.raises(InputError, match="declares the encoding hex, which is not known"):
        read("b.html", page.format("hex").encode("latin-1"))
    with pytest.raises(InputError, match="declares the encoding undefined, and is not in it"):
        read("b.html", page.format("undefined").encode("latin-1"))


def pdf(*pages: str) -> bytes:
    """A small PDF, a line of text a page."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(200, 200)
        font = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
            }
        )
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 10 100 Td ({text}) Tj ET".encode() if text else b"")
        page[NameObject("/Contents")] = writer._add_object(stream)
    writer.add_metadata({"/Title": "Bee paper", "/CreationDate": "D:19700102000000Z"})
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_papers() -> None:
    pytest.importorskip("pypdf")
    units = read("a.pdf", pdf("Bees fly. They sting.", "", "Honey."))
    assert [(unit.text, (unit.meta or {})["page"]) for unit in units] == [
        ("Bees fly.", 1),
        ("They sting.", 1),
        ("Honey.", 3),
    ]
    assert (units[0].time, (units[0].meta or {})["title"]) == (DAY, "Bee paper")
    with pytest.raises(InputError, match=r"b\.pdf: holds no text; its pages may be pictures"):
        read("b.pdf", pdf(""))
    with pytest.raises(InputError, match=r"c\.pdf: not a readable PDF"):
        read("c.pdf", b"%PDF-1.4 and nothing more")


# -- code and logs ---------------------------------------------------------------------------------

PYTHON = '''"""Bees."""

import os

LIMIT = 3


# Says where.
@cache
def fly(far):
    """Fly."""

    return far


class Bee:
    """One."""

    name = "bee"

    def sting(self):
        return 1

    async def sleep(self):
        return 2


if __name__ == "__main__":
    fly(1)
'''


def test_code_is_cut_by_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    units = read("bees.py", PYTHON)
    told = [((u.meta or {}).get("definition"), u.text.splitlines()[0], u.text.splitlines()[-1])
            for u in units]  # fmt: skip
    assert told == [
        (None, '"""Bees."""', "LIMIT = 3"),
        ("fly", "# Says where.", "    return far"),
        ("Bee", "class Bee:", "        return 2"),
        (None, 'if __name__ == "__main__":', "    fly(1)"),
    ]
    monkeypatch.setattr("memoria.io.forms.code.LARGE", 60)
    units = read("bees.py", PYTHON)
    assert [(u.meta or {}).get("definition") for u in units] == [
        None, "fly", "Bee", "Bee.sting", "Bee.sleep", None,
    ]  # fmt: skip
    assert (units[3].meta or {})["heading"] == "Bee"
    for unit in units:
        assert PYTHON[unit.offset :].startswith(unit.text)


@pytest.mark.parametrize(
    ("name", "code", "names"),
    [
        ("a.js", "import x from 'x';\n\nexport function fly(a) {\n  return a;\n}\n\n"
         "const land = async (b) => {\n  go();\n};\n\nclass Bee {\n  sting() {}\n}\n",
         [None, "fly", "land", "Bee"]),
        ("a.go", "package bees\n\nimport \"fmt\"\n\nfunc Fly(a int) int {\n\treturn a\n}\n\n"
         "func (b *Bee) Sting() {\n}\n\ntype Bee struct {\n\tName string\n}\n",
         [None, "Fly", "Sting", "Bee"]),
        ("a.rs", "use x;\n\n/// Flies.\npub fn fly(a: i32) -> i32 {\n    a\n}\n\n"
         "impl Bee {\n    fn sting(&self) {}\n}\n", [None, "fly", "Bee"]),
        ("a.c", "#include <x.h>\n\nstatic int fly(int a)\n{\n    return a;\n}\n\n"
         "int main(void) {\n    return fly(1);\n}\n", [None, "fly", "main"]),
        ("A.java", "package x;\n\npublic class Bee {\n    int fly() {\n    }\n}\n",
         [None, "Bee"]),
        ("a.sh", "#!/bin/sh\n\nfly() {\n  echo far\n}\n\nfly\n", [None, "fly", None]),
        ("a.sql", "CREATE TABLE bees (id int);\n\nSELECT * FROM bees;\n", ["bees", None]),
        ("a.rb", "class Bee\n  def fly\n    1\n  end\nend\n\nputs Bee\n", ["Bee", None]),
    ],
)  # fmt: skip
def test_code_of_other_languages(name: str, code: str, names: list[str | None]) -> None:
    units = read(name, code)
    assert [(unit.meta or {}).get("definition") for unit in units] == names
    assert "".join("".join(texts(units)).split()) == "".join(code.split())


def test_a_line_of_a_log_is_a_unit_with_its_time() -> None:
    log = "1970-01-02T00:00:00Z started. Fine.\n[1970-01-02 00:00:01,500] stopped\n  at once\n"
    units = read("a.log", log)
    assert [(unit.text, unit.time) for unit in units] == [
        ("1970-01-02T00:00:00Z started.", DAY),
        ("Fine.", DAY),
        ("[1970-01-02 00:00:01,500] stopped", DAY + 1500),
        ("at once", None),
    ]


# -- which form ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("a.log", '{"text": "A."}\n{"text": "B."}\n', "jsonl"),
        ("a.ndjson", '{"text": "A."}\n', "jsonl"),
        ("a.log", '{"text": "A."}\n{"text":\n', "jsonl"),
        ("a", '{"text": "A."}', "jsonl"),
        ("a.dat", '{\n  "text": "A."\n}', "json"),
        ("a.dat", '[{"text": "A."}]', "json"),
        ("a.out", "plain words", "plain"),
        ("a.weird", "{ no json }", "plain"),
        ("a", MAIL, "mail"),
        ("a", "From ann@x.org Fri Jan  2 00:00:00 1970\n" + MAIL, "mailbox"),
        ("a", "From my window I saw 1970 bees.\nThey flew.", "plain"),
        ("a", "\n<!doctype HTML>\n<p>x", "html"),
        ("a", "#!/usr/bin/env python3\nprint(1)\n", "code"),
        ("a", "2026-01-02 10:00 a\n2026-01-02 10:01 b\n", "log"),
        ("a", "%PDF-1.7", "pdf"),
        ("notes", "Subject: bees\n\nThey flew.", "plain"),
    ],
)
def test_forms_are_told_by_content_where_the_name_says_nothing(
    name: str, content: str, form: str
) -> None:
    Path(name).write_text(content)
    assert classify(name) == "text"
    found = find_form(name)
    assert found is not None
    assert found.name == form


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PK\x03\x04aaaa", "a zip archive"),
        (b"\x00\x01\x02", "unknown kind"),
        (b"\x7fELF\x02\x01", "a program"),
        ("ab cd ef".encode("utf-16"), "unknown kind"),
        (bytes(range(1, 32)) * 9, "unknown kind"),
    ],
)
def test_what_is_no_text_is_refused(content: bytes, told: str) -> None:
    Path("a.odd").write_bytes(content)
    with pytest.raises(InputError, match=told):
        classify("a.odd")


def test_other_encodings_are_recognised() -> None:
    text = "Les abeilles déjà vues préfèrent les fleurs d'été. "
    Path("a.txt").write_bytes(text.encode("cp1252") * 9)
    with pytest.raises(InputError, match=r"not UTF-8 text: byte 14 .*it looks like cp1252 or .*"):
        list(read_texts("a.txt"))


def test_records_come_also_through_standard_input() -> None:
    stream = io.BytesIO(b'{"text": "A.", "n": 1}\n')
    [unit] = read_texts("-", stdin=stream)
    assert unit == TextUnit("A.", "-:1", 0, None, {"n": 1})


# -- parts and hashes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "unit"),
    [
        ("a.jsonl", '{"text": "A. B."}\n{"text": "C."}\n{"text": "D.", "n": 1}\n', "sentence"),
        ("a.txt", "A. B.\n\nC é. D.\n\nE", "sentence"),
        ("a.txt", "A. B.\n\nC é. D.\n\nE", "paragraph"),
        ("a.txt", "A. B.\nC é. D.\nE", "line"),
        ("a.log", "A. B.\nC é. D.\nE", "sentence"),
    ],
)
def test_a_file_may_be_read_in_parts(name: str, content: str, unit: str) -> None:
    whole = read(name, content, unit)
    mark = part_break(name, unit)
    assert mark is not None
    for cut in range(len(content)):
        if not content[:cut].encode().endswith(mark):
            continue
        parts = [content[:cut], content[cut:]]
        found = [
            *read_part(parts[0].encode(), name, unit, 0, 0),
            *read_part(parts[1].encode(), name, unit, parts[0].count("\n"), cut),
        ]
        assert found == whole


@pytest.mark.parametrize("name", ["a.md", "a.py", "a.eml", "a.csv", "a.html"])
def test_other_forms_are_read_as_a_whole(name: str) -> None:
    Path(name).write_text("x")
    assert part_break(name, "sentence") is None
    Path("a.txt").write_text("x")
    assert part_break("a.txt", "window:3") is None


def test_the_hash_tells_what_has_changed() -> None:
    plain = TextUnit("A bee.", "a", 0)
    assert plain.hash == hash_unit("A bee.") == plain._replace(source="b", offset=9).hash
    others = [plain._replace(text="A"), plain._replace(time=5), plain._replace(meta={"a": 1})]
    assert len({plain.hash, *(one.hash for one in others)}) == 4
    assert hash_unit("x", 1, {"a": 1, "b": 2}) == hash_unit("x", 1, {"b": 2, "a": 1})


def test_options_have_a_key() -> None:
    assert ReadOptions().key() == ReadOptions(skip_bad=True).key() == ""
    assert ReadOptions("line").key() != ReadOptions(text_field="a").key() != ""


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a.md", "# "), ("a.md", "# a\n"), ("a.md", "- a\n\n"), ("a.md", "|-"), ("a.md", "```\n"),
        ("a.md", "a\n---\n"), ("a.md", "[("), ("a.md", "   "), ("a.py", "class A:\n "),
        ("a.py", "def a"), ("a.c", "a*&"), ("a.c", "a b "), ("a.js", "const a = "),
        ("a.py", "@a\n"),
        ("a.html", "<div>"), ("a.html", "<!-- --> "), ("a.html", "<ul><li>"), ("a.html", "<h1>a"),
        ("a", "<!-- --> "), ("a", "{"), ("a", "From a 1999\n"), ("a.mbox", "From a 1999\n\n"),
        ("a.csv", '"'), ("a.csv", "a,"), ("a.csv", "a\n"), ("a.eml", "a: b\n"), ("a.json", "["),
        ("a.log", "[2026-"), ("a.md", "---\na: b\n"), ("a.jsonl", '{"a":'),
    ],
)  # fmt: skip
def test_a_hundred_kilobytes_of_anything_end(name: str, part: str) -> None:
    with contextlib.suppress(MemoriaError):  # quadratic work here would take minutes
        read(name, part * (100_000 // len(part)))
