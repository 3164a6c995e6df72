"""`memoria config --user`: the user's own settings, which are defaults of options."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from memoria.errors import ConfigError, UsageError
from memoria_cli.help_page import is_group
from memoria_cli.options import parse_pairs
from memoria_cli.terminal import output
from memoria_cli.user_settings import (
    MAY_BE_SET,
    default_map,
    read_settings,
    settable,
    settings_path,
    user_defaults,
    write_settings,
)
from memoria_cli.user_settings import Setting as UserSetting


def show_own(context: typer.Context, json: bool) -> None:
    """Print what is set, and where."""
    found = [
        setting for verb, command in _verbs(context) for setting in user_defaults(verb, command)
    ]
    path = settings_path()
    records = [setting._asdict() for setting in found]
    document = {"path": None if path is None else str(path), "settings": records}
    columns: dict[str, output.Column] = {"setting": "name", "value": "value", "from": "source"}
    table = output.table("your settings", records, columns)
    output.result(document, [table, f"your file: {document['path'] or 'none'}"], json)


def set_own(context: typer.Context, pairs: Sequence[str], json: bool) -> None:
    """Change the file; a setting without a value is taken out of it."""
    if not pairs:
        raise UsageError("nothing is set", "--user VERB.OPTION=VALUE, such as ask.limit=5")
    tables = read_settings()
    changed: list[str] = []
    verbs = dict(_verbs(context))
    for name, value in parse_pairs("--user", pairs, "such as ask.limit=5").items():
        verb, _, key = name.partition(".")
        if verb not in verbs or name not in settable(verb, verbs[verb]):
            raise ConfigError(f"{name}: no such setting of yours", _way(verb, verbs))
        table = tables.setdefault(verb, {})
        if value == "":
            table.pop(key, None)
        else:
            _check(context, verbs[verb], UserSetting(name, value, name))
            table[key] = value
        changed.append(name)
    path = write_settings(tables)
    document = {"path": str(path), "settings": tables, "changed": changed}
    output.result(document, [f"{path}: {', '.join(changed)}"], json)


def _verbs(context: typer.Context) -> Iterator[tuple[str, Any]]:
    """The verbs that have settings."""
    verbs = context.find_root().command.commands  # type: ignore[attr-defined]
    for name in MAY_BE_SET:
        if name in verbs and not is_group(verbs[name]):
            yield name, verbs[name]


def _way(verb: str, verbs: dict[str, Any]) -> str:
    if verb not in verbs:
        return f"VERB.OPTION of {', '.join(verbs)}"
    return f"those of {verb} are {', '.join(settable(verb, verbs[verb]))}"


def _check(context: typer.Context, command: Any, setting: UserSetting) -> None:
    """Raise what the option itself raises for the value."""
    (name,), (value,) = zip(*default_map(command, [setting]).items(), strict=True)
    option = next(one for one in command.params if one.name == name)
    if not isinstance(value, bool):
        option.get_runtime_param().coerce(value, param=option, ctx=context)
