"""A user's own defaults of options: from the environment, else from a configuration file.

They say how verbs work and what new stores are like. They never change what an existing store is:
`MAY_BE_SET` names every option that can be set so, and none of them reaches a memory. The order is
flag, environment (``MEMORIA_VERB_OPTION``), file, default.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from memoria.errors import ConfigError, StorageError

FILE_VARIABLE: Final = "MEMORIA_CONFIG"  # names another file; empty: none
_FOLDER: Final = "memoria"
_MOST_BYTES: Final = 1 << 20
_EVERY: Final = "*"  # all options of a verb
_NEVER: Final = ("json", "store", "store_named", "config", "output", "out", "inputs")

# Options by verb, as their functions call them: none that another option may exclude. Of `init`
# all: it makes new stores only.
MAY_BE_SET: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "init": ("*",),
        "ask": ("top", "context", "why"),
        "remind": ("top",),
        "list": ("limit", "full", "sort", "reverse"),
        "inspect": ("limit", "full"),
        "diff": ("limit",),
        "report": ("most_engrams",),
        "encode": ("backbone", "unit", "batch_size", "device"),
        "step": ("commit_every",),
        "serve": ("host", "port"),
    }
)


class Setting(NamedTuple):
    """A default of an option, and where it comes from."""

    name: str  # VERB.OPTION as it is typed: "ask.limit"
    value: Any
    source: str  # a file or a variable


def settings_path() -> Path | None:
    """The configuration file of the user, whether it exists or not; None if there shall be none."""
    if FILE_VARIABLE in os.environ:
        named = os.environ[FILE_VARIABLE]
        return Path(named) if named else None
    from platformdirs import user_config_path

    return user_config_path(_FOLDER, appauthor=False) / "config.toml"


def read_settings() -> dict[str, dict[str, Any]]:
    """What the file holds: a table a verb, options by the names they are typed with.

    Raises:
        ConfigError: the file is no TOML of that form.
        StorageError: it cannot be read.
    """
    path = None if _is_surely_absent() else settings_path()
    if path is None:
        return {}
    from memoria.io.bounds import open_regular

    try:
        with open(open_regular(path), "rb") as file:
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from None
    except ValueError:  # a device, a pipe or a socket; or no name of a file
        raise ConfigError(f"{path}: is not a regular file", f"{FILE_VARIABLE} names one") from None
    import tomllib

    try:
        found = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    for verb, table in found.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {verb} = {table!r}: not in a table", "such as [ask]")
    return found


def user_defaults(verb: str, command: Any) -> list[Setting]:
    """The user's defaults for the options of ``command``, which is called ``verb``."""
    allowed = {_flag(one): one for one in command.params if is_settable(verb, one)}
    found: dict[str, Setting] = {}
    for key, value in read_settings().get(verb, {}).items():
        path = settings_path()
        if key not in allowed:
            raise ConfigError(f"{path}: {verb}.{key}: no such setting", _known(verb, allowed))
        found[key] = Setting(f"{verb}.{key}", value, str(path))
    for key in allowed:
        variable = variable_of(verb, key)
        if os.environ.get(variable):
            found[key] = Setting(f"{verb}.{key}", os.environ[variable], variable)
    return [*found.values()]


def default_map(command: Any, settings: Iterable[Setting]) -> dict[str, Any]:
    """The settings as Typer takes them: by the names of the function's parameters."""
    names = {_flag(one): one for one in command.params if one.param_type_name == "option"}
    made: dict[str, Any] = {}
    for setting in settings:
        option = names[setting.name.partition(".")[2]]
        value = setting.value
        if option.type_descriptor.annotation is bool or getattr(option, "is_flag", False):
            value = _truth(setting)
        elif option.multiple and not isinstance(value, list):
            value = [value]
        made[option.name] = value if isinstance(value, (bool, list)) else str(value)
    return made


def is_settable(verb: str, option: Any) -> bool:
    """Whether a user may set a default of this option."""
    if option.param_type_name != "option" or option.name in _NEVER or not option.expose_value:
        return False
    names = MAY_BE_SET.get(verb, ())
    return _EVERY in names or option.name in names


def settable(verb: str, command: Any) -> Iterator[str]:
    """The settings of a verb, as they are typed: "ask.limit"."""
    for option in command.params:
        if is_settable(verb, option):
            yield f"{verb}.{_flag(option)}"


def variable_of(verb: str, key: str) -> str:
    """The variable of the environment that sets ``VERB.KEY``."""
    return f"MEMORIA_{verb}_{key}".replace("-", "_").replace(" ", "_").upper()


def write_settings(tables: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write the file anew, as a whole or not at all."""
    from memoria.io.atomic_write import atomic_write

    path = settings_path()
    if path is None:
        raise ConfigError(f"{FILE_VARIABLE} is empty: there is no file", "name one in it")
    lines: list[str] = []
    for verb, table in tables.items():
        if table:
            lines += [f"[{verb}]", *(f"{key} = {_toml(one)}" for key, one in table.items()), ""]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent}: {error.strerror or error}") from None
    with atomic_write(path, True) as temporary:
        Path(temporary).write_text("\n".join(lines), encoding="utf-8")
    return path


def _is_surely_absent() -> bool:
    """Whether there is no file, found out without the import that says where it would be."""
    if FILE_VARIABLE in os.environ or sys.platform != "linux":
        return False
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return not os.path.lexists(os.path.join(home, _FOLDER))


def _flag(option: Any) -> str:
    """The long name of an option without its dashes: what a user types."""
    long = next((name for name in option.opts if name.startswith("--")), option.opts[0])
    return str(long).lstrip("-")


def _known(verb: str, allowed: Mapping[str, Any]) -> str:
    if not allowed:
        return f"{verb} has no settings of yours"
    return f"those of {verb} are {', '.join(sorted(allowed))}"


def _truth(setting: Setting) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    found = words.get(str(setting.value).lower())
    if found is None:
        raise ConfigError(
            f"{setting.source}: {setting.name} = {setting.value!r}: neither true nor false"
        )
    return found


def _toml(value: Any) -> str:
    """A value as TOML writes it: as JSON does, but for escapes of halves of characters."""
    import json

    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
