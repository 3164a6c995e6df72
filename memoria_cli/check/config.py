"""`memoria config`: what a memory is, and what may change about it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import fields
from typing import Annotated, Any, Final, TypeAlias

import typer

from memoria.config import MemoriaConfig
from memoria.errors import ConfigError, UsageError
from memoria_cli.options import Json, argument, option, parse_pairs
from memoria_cli.stores import OptionalStore, OptionalStoreAt, load_memory_store, split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_lifespan
from memoria_cli.verbs import group, verb

User: TypeAlias = Annotated[
    bool, option("--user", "Your own settings, which are defaults of options.")
]
_SETTINGS: Final = ("backbone", "unit", "notes")  # that are texts; and constants of asking:
_ASK: Final = "ask."
_LANGUAGE, _FIRST_PASS = "language", "first_pass"  # of which two are names
_OF_VECTORS: Final = ("hidden_dim", "backbone_fingerprint", "backbone_options")


@verb(
    "show",
    "memoria config show notes",
    "memoria config show --user",
    "memoria config show notes --json",
)
def show(
    context: typer.Context, store: OptionalStoreAt = None, user: User = False, json: Json = False
) -> None:
    """Show what a memory is, which stays, and its settings, which may change.

    With --user, and where no store is found, your own settings: defaults of options, from the
    environment or else from your configuration file. They never change a store that is there.
    """
    from memoria.store.reading import open_files

    if user or store is None:
        from memoria_cli.check.own_settings import show_own

        show_own(context, json)
        return
    path, at = split_store(store)
    with closing(open_files(path, at)) as files:
        config, settings = files.config, files.attributes.settings.model_dump(mode="json")
    frozen = config.model_dump(mode="json", exclude={"unit"})
    document = {"path": os.path.abspath(path), "config": frozen, "settings": settings}
    told = {**frozen, "initial_lifespan": format_lifespan(frozen["initial_lifespan"])}
    human = [
        output.Table(title, ("", ""), [[name, _said(value)] for name, value in values.items()])
        for title, values in (
            ("configuration, which stays", told),
            ("settings, which may change", _flat(settings)),
        )
    ]
    output.result(document, human, json)


@verb(
    "set",
    'memoria config set notes unit=paragraph notes="Diary of 2024"',
    "memoria config set --user ask.limit=5",
    "memoria config set notes ask.language=english --json",
)
def set_(
    context: typer.Context,
    store: OptionalStore = None,
    pairs: Annotated[
        list[str] | None,
        argument(
            "KEY=VALUE...",
            "backbone (where it lies now), unit, notes, or ask.NAME, a constant of asking; no "
            "value: back to what it was at first. With --user VERB.OPTION, such as ask.limit.",
        ),
    ] = None,
    user: User = False,
    json: Json = False,
) -> None:
    """Change settings of a memory, or with --user your own.

    They are where the backbone lies, the unit of texts, notes, and constants of asking. The memory
    itself, its digest and its configuration stay as they are. A backbone with other weights than
    the store was made with is refused.
    """
    from memoria.store.reading import open_files

    if user:
        from memoria_cli.check.own_settings import set_own

        set_own(context, [*([store] if store else ()), *(pairs or ())], json)
        return
    if store is None or not pairs:
        raise UsageError("nothing is set", "STORE KEY=VALUE, or --user VERB.OPTION=VALUE")
    asked = _parsed(store, pairs)
    with (
        closing(open_files(store, mode="r+")) as files,
        load_memory_store(files, None) as opened,
    ):
        before = files.attributes.settings.model_dump(mode="json")
        changes = _changes(asked, before["ask"])
        if changes.get("backbone") is not None:
            changes["backbone"] = _checked_place(files.config, changes["backbone"])
        opened.change_settings(changes)
        after = opened.settings
    old, new = _flat(before), _flat(after)
    changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    document = {"path": os.path.abspath(store), "settings": after, "changed": changed}
    human = [f"{name}: {_said(old.get(name))} -> {_said(new.get(name))}" for name in changed]
    output.result(document, human or ["nothing has changed"], json)


def _parsed(store: str, pairs: Sequence[str]) -> dict[str, str]:
    """The pairs by key; raises `ConfigError` for what is no setting."""
    asked: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise UsageError(f"{pair}: not KEY=VALUE", "such as unit=paragraph")
        if key in asked:
            raise UsageError(f"{key}: given twice")
        known = (*_SETTINGS, *(f"{_ASK}{name}" for name in _constants()))
        if key in MemoriaConfig.model_fields and key not in known:
            raise ConfigError(
                f"{key}: a memory keeps what it was born with", _way(store, key, value)
            )
        if key not in known:
            raise ConfigError(f"{key}: no such setting", f"the settings are {', '.join(known)}")
        asked[key] = value
    return asked


def _constants() -> tuple[str, ...]:
    """Names of the constants of asking."""
    from memoria.search.ranking import Weights

    return (_LANGUAGE, _FIRST_PASS, *(one.name for one in fields(Weights)))


def _way(store: str, key: str, value: str) -> str:
    """What to do where the frozen ``key`` should be otherwise."""
    from memoria.store.replay.rerun import CHANGEABLE

    if key in CHANGEABLE:
        return f"`memoria replay {store} --set {key}={value} -o NEW` lives the same life with it"
    if key in _OF_VECTORS:
        return f"`memoria replay {store} --set backbone=NAME -o NEW` encodes its texts anew"
    if key == "wm_length":
        return f"`memoria step --wm-length {value}` reads that way once"
    return f"`memoria init NEW --{key.replace('_', '-')} {value}` makes another memory"


def _changes(asked: Mapping[str, str], ask: Mapping[str, Any]) -> dict[str, Any]:
    """What `MemoryStore.change_settings` takes; a setting without a value gets its default."""
    from memoria.store.attributes import Settings

    changes: dict[str, Any] = {}
    for key, value in asked.items():
        if not key.startswith(_ASK):
            changes[key] = value or getattr(Settings(), key)
            continue
        name = key.removeprefix(_ASK)
        constants = changes.setdefault("ask", dict(ask))
        if not value:
            constants.pop(name, None)
        else:
            constants[name] = _constant(name, value)
    return changes


def _constant(name: str, value: str) -> str | float:
    """A constant of asking, checked."""
    if name == _LANGUAGE:
        from memoria.search.languages import find_language

        find_language(value)
        return value
    if name == _FIRST_PASS:
        from memoria.search.first_pass import find_first_pass

        find_first_pass(value)
        return value
    number = parse_pairs("KEY=VALUE", [f"{name}={value}"])[name]
    if isinstance(number, str | bool) or not -1e6 <= number <= 1e6:
        raise ConfigError(f"{_ASK}{name} = {value!r}: must be a number from -1e6 to 1e6")
    return number


def _checked_place(config: MemoriaConfig, name: str) -> str:
    """The name of the store's own backbone at another place; raises `BackboneError`."""
    from memoria.backbones import check_backbone
    from memoria.backbones.streams import absolute_name, may_be_place, store_backbone

    place = absolute_name(name)
    if place != config.backbone and not may_be_place(config, place):
        check_backbone(config.backbone, config.hidden_dim, config.backbone_options, place)
    store_backbone(config, place)  # its weights tell
    return place


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with each constant of asking as one of its own."""
    plain = {name: value for name, value in settings.items() if name != "ask"}
    return plain | {f"{_ASK}{name}": value for name, value in settings["ask"].items()}


def _said(value: Any) -> str:
    return "none" if value is None or value == "" or value == {} else " ".join(str(value).split())


config = group(
    "config",
    "Show and change settings: those of a memory, and your own.",
    ("memoria config show notes", "memoria config set --user ask.limit=5"),
    show,
    set_,
)
