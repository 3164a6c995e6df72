"""The sections of a text of any form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Final

from memoria.io.forms.source import TextSource
from memoria.io.forms.table import Form
from memoria.io.text_unit import Section

_FORMS: Final = {  # module of this room, and its function; loaded when a text has the form
    "plain": ("plain", "plain_sections"),
    "log": ("plain", "log_sections"),
    "markdown": ("markdown", "markdown_sections"),
    "jsonl": ("json_records", "jsonl_sections"),
    "json": ("json_records", "json_sections"),
    "table": ("table_rows", "table_sections"),
    "mail": ("mail", "mail_sections"),
    "mailbox": ("mail", "mailbox_sections"),
    "html": ("html", "html_sections"),
    "pdf": ("pdf", "pdf_sections"),
}


def read_sections(form: Form, source: TextSource) -> Iterator[Section]:
    """What ``form`` makes of a text."""
    if form.name == "code":
        from memoria.io.forms.code import code_sections

        return code_sections(source, form.language)
    module, function = _FORMS[form.name]
    read: Callable[[TextSource], Iterator[Section]]
    read = getattr(import_module(f"memoria.io.forms.{module}"), function)
    return read(source)
