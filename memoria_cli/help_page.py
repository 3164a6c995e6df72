"""What the help says of a verb, as a page: read from its declaration, drawn by whoever shows it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args, get_origin

GENERAL_PANEL: Final = "General"
_ARGUMENTS: Final = "Arguments"
_OPTIONS: Final = "Options"
_EXAMPLES: Final = "Examples:"
_VALUES: Final = {int: "N", float: "X"}  # what stands for a value that has no name of its own


@dataclass(frozen=True)
class Entry:
    """What can be typed, and what it does."""

    term: str
    text: str


@dataclass(frozen=True)
class Section:
    """Entries under a title."""

    title: str
    entries: Sequence[Entry]


@dataclass(frozen=True)
class HelpPage:
    """The help of a verb: how it is typed, what it does, what it takes, and examples."""

    name: str
    usage: str
    paragraphs: Sequence[str]
    sections: Sequence[Section]
    examples: Sequence[str]
    end: str  # a paragraph after all
    is_group: bool  # whether it has verbs of its own

    @property
    def summary(self) -> str:
        """The first paragraph."""
        return self.paragraphs[0] if self.paragraphs else ""


def help_page(command: Any, path: str) -> HelpPage:
    """Return the page of ``command``, which is typed as ``path``: "memoria snapshot create"."""
    *paragraphs, end = [*_paragraphs(command.help), _end(command)]
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    panels: dict[str, list[Entry]] = {_ARGUMENTS: [], _OPTIONS: []}
    panels[_ARGUMENTS] = [Entry(_metavar(one), _described(one)) for one in arguments]
    general: list[Entry] = []
    for one in shown:
        if one.param_type_name != "option":
            continue
        panel = one.rich_help_panel or (GENERAL_PANEL if one.name == "json" else _OPTIONS)
        entry = Entry(_option_term(one), _described(one))
        (general if panel == GENERAL_PANEL else panels.setdefault(panel, [])).append(entry)
    for name in command.list_commands(None) if is_group(command) else ():
        below = command.get_command(None, name)  # which imports no verb
        panel = below.rich_help_panel or "Verbs"
        panels.setdefault(panel, []).append(Entry(name, next(_paragraphs(below.help), "")))
    panels[GENERAL_PANEL] = general
    sections = [Section(title, entries) for title, entries in panels.items() if entries]
    usage, examples = _usage(command, path, arguments), _examples(command)
    return HelpPage(path, usage, paragraphs, sections, examples, end, is_group(command))


def is_group(command: Any) -> bool:
    """Whether the command has verbs of its own."""
    return hasattr(command, "commands")


def _paragraphs(text: str | None) -> Iterator[str]:
    for paragraph in inspect.cleandoc(text or "").split("\n\n"):
        if flat := " ".join(paragraph.split()):
            yield flat


def _examples(command: Any) -> list[str]:
    epilog = command.epilog or ""
    return [*_paragraphs(epilog.removeprefix(_EXAMPLES))] if epilog.startswith(_EXAMPLES) else []


def _end(command: Any) -> str:
    epilog = command.epilog or ""
    return "" if epilog.startswith(_EXAMPLES) else " ".join(epilog.split())


def _usage(command: Any, path: str, arguments: Sequence[Any]) -> str:
    words = [path]
    if is_group(command):
        words.append(command.subcommand_metavar)
    for one in arguments:
        name = _metavar(one)
        words.append(name if one.required or name.startswith("[") else f"[{name}]")
    return " ".join([*words, "[OPTIONS]"])


def _metavar(parameter: Any) -> str:
    """What stands for the parameter's value: "STORE", "N"; nothing for a switch."""
    if parameter.metavar is not None:
        return str(parameter.metavar)
    kind = parameter.type_descriptor.annotation
    if kind is bool:
        return ""
    if get_origin(kind) is Literal:
        return "WORD"
    return _VALUES.get(kind, "TEXT")


def _option_term(option: Any) -> str:
    """The names of an option, the short one first, and what follows them."""
    short = [name for name in option.opts if not name.startswith("--")]
    long = [name for name in option.opts if name.startswith("--")]
    names = ", ".join([*short, *long])
    if option.secondary_opts:
        names += " / " + ", ".join(option.secondary_opts)
    indent = "" if short else "    "
    return f"{indent}{names} {_metavar(option)}".rstrip()


def _described(parameter: Any) -> str:
    """What a parameter does, what it may be, and what it is if it is not given."""
    text = " ".join((parameter.help or "").split())
    kind = parameter.type_descriptor.annotation
    if get_origin(kind) is Literal and not all(str(one) in text for one in get_args(kind)):
        text = f"{text} One of {', '.join(map(str, get_args(kind)))}."
    default = _default(parameter)
    return f"{text} [{default}]" if default else text


def _default(parameter: Any) -> str:
    """The default in words; nothing where there is none, or where it is not to be shown."""
    if isinstance(parameter.show_default, str):
        return f"default: {parameter.show_default}"
    value = parameter.default
    if parameter.show_default is False or value is None or isinstance(value, bool):
        return ""
    return "" if value in ("", (), []) or callable(value) else f"default: {value}"
