"""`memoria init`: creates a store."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import typer

from memoria.config import MemoriaConfig, PresetName
from memoria.errors import BackboneError, ConfigError
from memoria.io.checked import Choice, Field, Number, OrNone, Whole
from memoria.timeline.lifespan import PLAINLY_ENDLESS
from memoria_cli.options import (
    BACKBONE_OPTIONS,
    BACKBONE_PANEL,
    BatchSize,
    Device,
    Json,
    backbone_options,
    option,
    speed_options,
)
from memoria_cli.stores import HIDDEN, NewStore
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count
from memoria_cli.verbs import verb

_HYPER: Final = "Hyper-parameters"
_BACKBONE_OPTIONS: Final = "backbone_options"  # given by options of their own
_NOT_ASKED: Final = (
    _BACKBONE_OPTIONS,
    "backbone_fingerprint",
)
_DIMENSION: Final = "hidden_dim"
_SHOWN_DEFAULTS: Final = {  # that are no plain values
    _DIMENSION: "the backbone's",
    "initial_lifespan": "no end",
    "capacity": "no limit",
    "lifespan_by": "constant, with --capacity information",
    "backbone": "static where it is installed, else hash",
}
_WITHOUT_STATIC: Final = (
    "backbone hash knows words, not meanings: `pip install 'memoria-engrams[text]'` brings "
    "static, which does"
)


def _init(**given: Any) -> None:
    """Create an empty store. It keeps the configuration it is born with.

    A setting comes from its option, else from the file of --config, else from the preset, else
    from the defaults. An existing store is never touched.
    """
    config, lines = _config(given)
    speed = speed_options(config.backbone, given["batch_size"], given["device"])
    config = _with_backbone(config, speed)
    from memoria.backbones.streams import absolute_name
    from memoria.store import MemoryStore

    with MemoryStore.create(given["store"], config) as store:
        if (place := absolute_name(config.backbone)) != config.backbone:
            store.change_settings({"backbone": place})  # found from other folders too
        document = {
            "path": str(store.path),
            "step": store.timestep,
            "config": config.model_dump(mode="json"),
            "digest": store.digest(),
        }
    lanes = format_count(config.lanes, "lane")
    about = f"{lanes}, vectors of {config.hidden_dim} numbers, backbone {config.backbone}"
    lines = [f"created {document['path']}: {about}", *lines, _describe_forgetting(config)]
    output.result(document, lines, given["json"])


def _config(given: Mapping[str, Any]) -> tuple[MemoriaConfig, list[str]]:
    """Settings from options, file, preset and defaults, in that order; what to say of them."""
    names = [name for name in MemoriaConfig.model_fields if name not in _NOT_ASKED]
    values = {name: given[name] for name in names if given[name] is not None}
    if given["preset"] is not None:
        values["preset"] = given["preset"]
    random_entries = values.get("random_entries")
    if random_entries is not None and random_entries.isdecimal():
        values["random_entries"] = int(random_entries)
    if given["config"] is None:
        config = MemoriaConfig.from_values(values)
    else:
        config = MemoriaConfig.from_toml(given["config"], **values)
    changes: dict[str, Any] = {}
    notes: list[str] = []
    if "backbone" not in config.model_fields_set:
        changes["backbone"], notes = _default_backbone(config)
    own = backbone_options(given)
    if own:
        changes[_BACKBONE_OPTIONS] = {**config.backbone_options, **own}
    if changes:
        held = config.model_dump(include=config.model_fields_set)
        config = MemoriaConfig(**{**held, **changes})
    return config, notes


def _default_backbone(config: MemoriaConfig) -> tuple[str, list[str]]:
    """The backbone where none is asked for, and a line where it is not the best there is."""
    from memoria.backbones import default_backbone

    name = default_backbone()
    if name == "hash":
        return name, [_WITHOUT_STATIC]
    built_in = MemoriaConfig(backbone=name).hidden_dim
    if _DIMENSION in config.model_fields_set and config.hidden_dim != built_in:
        return "hash", [f"backbone {name} gives vectors of {built_in} numbers, hash of any length"]
    return name, []


def _describe_forgetting(config: MemoriaConfig) -> str:
    """What the lifespan means for who keeps texts or vectors, in words."""
    if config.initial_lifespan > PLAINLY_ENDLESS and config.capacity is None:
        return "nothing is forgotten, unless by hand"
    units = config.initial_lifespan * config.wm_length
    kind, _, words = config.unit.partition(":")
    what = f"windows of {words} words" if words else f"{kind}s"
    if config.backbone == "array":
        what = "vectors"
    each = " of its lane" if config.lanes > 1 else ""
    if config.capacity is not None:
        best = "tell most" if config.lifespan_by == "information" else "would be forgotten last"
        each = " of each lane" if config.lanes > 1 else ""
        return f"keeps {config.capacity:,} {what}{each}, those that {best}, and what is pinned"
    return f"forgets what has not come back for about {units:,.0f} {what}{each}"


def _with_backbone(config: MemoriaConfig, speed: Mapping[str, Any]) -> MemoriaConfig:
    """Load the backbone, which checks it, and take over its own name, D and options."""
    from memoria.backbones import load_backbone

    wanted = config.hidden_dim if _DIMENSION in config.model_fields_set else None
    options: dict[str, Any] = {**config.backbone_options, **speed}
    made = load_backbone(config.backbone, wanted, **options)
    if made.dimension == 0 and wanted is None:
        raise ConfigError(
            f"backbone {made.name!r} takes vectors of any length, the store needs one",
            "give --hidden-dim N",
        )
    if made.options.get("pooling") == "none":
        raise BackboneError(
            "pooling = 'none' gives several vectors for each unit, a store needs one",
            "choose mean, cls or last; `memoria encode` takes none",
        )
    return config.replace(
        backbone=made.name,
        hidden_dim=made.dimension or wanted,
        backbone_options=dict(made.options),
        backbone_fingerprint=made.fingerprint,
    )


def _option(name: str, field: Field) -> inspect.Parameter:
    """Make the option that sets one field of the configuration."""
    annotation: Any = str
    check = field.check.inner if isinstance(field.check, OrNone) else field.check
    if isinstance(check, Whole | Number):
        annotation = int if isinstance(check, Whole) else float
    elif isinstance(check, Choice):
        annotation = Literal[check.known]
    option = typer.Option(
        "--" + name.replace("_", "-"),
        help=field.description,
        show_default=_SHOWN_DEFAULTS.get(name, str(field.default)),
        rich_help_panel=BACKBONE_PANEL if name == "backbone" else _HYPER,
    )
    return _keyword(name, Annotated[annotation | None, option])


def _keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _signature() -> inspect.Signature:
    """The parameters: store, preset, file, every field of the configuration, the backbone."""
    preset = Annotated[
        PresetName | None, option("--preset", "Start from a published configuration.")
    ]
    file = Annotated[str | None, option("--config", "Settings from a TOML file.", "FILE.toml")]
    fields = [
        _option(name, field)
        for name, field in MemoriaConfig.model_fields.items()
        if name not in _NOT_ASKED
    ]
    settings = {**BACKBONE_OPTIONS, "batch_size": BatchSize, "device": Device}
    return inspect.Signature(
        [
            _keyword("store", NewStore, HIDDEN),
            _keyword("preset", preset),
            _keyword("config", file),
            *fields,
            *[_keyword(name, annotation) for name, annotation in settings.items()],
            _keyword("json", Json, default=False),
        ]
    )


_init.__signature__ = _signature()  # type: ignore[attr-defined]
init = verb(
    "init",
    "memoria init",
    "memoria init notes",
    "memoria init vectors --backbone array --hidden-dim 64 --lanes 2",
    "memoria init talk --preset gpt2 --initial-lifespan 20 --json",
)(_init)
