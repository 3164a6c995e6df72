"""Arguments and options that several verbs share, and what their values mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

import typer

from memoria.errors import UsageError
from memoria.io.progress import Progress
from memoria_cli.terminal import output
from memoria_cli.terminal.signals import StoppedError

READING_PANEL: Final = "Reading"
SPEED_PANEL: Final = "Speed"
BACKBONE_PANEL: Final = "Backbone"
ENGINE_PANEL: Final = "Many at a time"
FILTER_PANEL: Final = "Filters"
_WHOLE: Final = 100  # per cent


def option(names: str, help: str, metavar: str | None = None, **more: Any) -> Any:
    """An option of a verb; spaces part its names."""
    return typer.Option(*names.split(), help=help, metavar=metavar, **more)


def argument(metavar: str, help: str, **more: Any) -> Any:
    """An argument of a verb; the help shows no default of it."""
    return typer.Argument(metavar=metavar, help=help, show_default=False, **more)


def panel(title: str) -> Callable[..., Any]:
    """Return a maker of options in one panel of a help; a default is shown only if stated."""
    return partial(option, rich_help_panel=title, show_default=False)


Engrams: TypeAlias = Annotated[list[int] | None, argument("[ID]...", "Engrams by id.")]
NamedEngrams: TypeAlias = Annotated[list[int], argument("ID...", "Engrams by id.")]
Inputs: TypeAlias = Annotated[
    list[str] | None,
    argument(
        "[INPUT]...",
        "Arrays (.npy .npz .pt .safetensors .zarr, FILE.npz:KEY for one of several), "
        "texts (notes, mail, pages, tables, code, .pdf; FILE.jsonl:FIELD for a field of records, "
        "- for standard input) or images.",
    ),
]
Texts: TypeAlias = Annotated[
    list[str] | None, option("--text", "A text itself, as one more input. Repeatable.", "TEXT")
]
Unit: TypeAlias = Annotated[
    str | None,
    option(
        "--unit",
        "What part of a text becomes one engram: sentence, paragraph, line, window:N, record.",
        "UNIT",
        show_default="the store's",
    ),
]
_reading: Final = partial(option, rich_help_panel=READING_PANEL)
TextField: TypeAlias = Annotated[
    str | None,
    _reading(
        "--text-field",
        "Field of records (JSON, tables) that holds their text, by path: message.content.",
        "FIELD",
        show_default="text, content, message, body",
    ),
]
TimeField: TypeAlias = Annotated[
    str | None,
    _reading(
        "--time-field",
        "Field of records that holds their time: a date, or a number of seconds, milliseconds, "
        "microseconds or nanoseconds since 1970.",
        "FIELD",
        show_default="time, date, timestamp",
    ),
]
SkipBad: TypeAlias = Annotated[
    bool, _reading("--skip-bad", "Pass over records that cannot be read, and tell which.")
]
WmLength: TypeAlias = Annotated[
    int | None,
    option("--wm-length", "Units of a working memory.", "N", min=1, show_default="the store's"),
]
Rule: TypeAlias = Annotated[
    str | None,
    option(
        "--rule",
        "Lifespan rule: correlation[:ALPHA] shares ALPHA steps per engram by correlation, "
        "uniform:X gives each X.",
        "RULE",
        show_default="the store's",
    ),
]
Lane: TypeAlias = Annotated[int | None, option("--lane", "Of this lane only.", "N", min=0)]
DropLater: TypeAlias = Annotated[
    bool, option("--drop-later", "Drop the snapshots of later states too.")
]
_filter: Final = panel(FILTER_PANEL)
FilterLane: TypeAlias = Annotated[int | None, _filter("--lane", "Of this lane only.", "N", min=0)]
Since: TypeAlias = Annotated[
    str | None,
    _filter("--since", "Of then or later: a date (UTC), or 30d (s, m, h, d, w) ago.", "WHEN"),
]
Until: TypeAlias = Annotated[
    str | None, _filter("--until", "Of then or before; a date with all its day.", "WHEN")
]
Meta: TypeAlias = Annotated[
    list[str] | None,
    _filter("--meta", "With this beside the text: a value of its meta. Repeatable.", "KEY=VALUE"),
]


def limit(help: str, names: str = "--limit -n", **more: Any) -> Any:
    """The option that bounds a list; 0 stands for no bound, see `bound`."""
    return option(names, f"{help}; 0: all.", "N", min=0, **more)


def bound(limit: int | None, default: int | None = None) -> int | None:
    """The most of a list: ``limit``, or ``default`` where none is given; None for all."""
    return (default if limit is None else limit) or None


ROWS: Final = 10  # of a list for people, unless --limit says how many
Force: TypeAlias = Annotated[bool, option("--force", "Replace FILE if it exists.")]
DryRun: TypeAlias = Annotated[
    bool, option("--dry-run", "Only say what would be done; change nothing.")
]
Yes: TypeAlias = Annotated[
    bool, option("--yes -y", "Go ahead without asking; needed where nobody can be.")
]
Json: TypeAlias = Annotated[
    bool, option("--json", "Print one JSON document; errors too, on stderr.")
]


def confirm(plan: Sequence[str], question: str, yes: bool) -> None:
    """Show the ``plan`` and ask before what cannot be undone, unless ``yes``.

    Raises:
        UsageError: no terminal is there to answer.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    answer = output.ask(plan, question)
    if answer is None:
        raise UsageError(f"{question} nobody is there to answer", "--yes goes ahead unasked")
    if not answer:
        raise typer.Abort


# What a backbone is, and how fast it runs.


_backbone: Final = panel(BACKBONE_PANEL)
_speed: Final = panel(SPEED_PANEL)
RequiredBackbone: TypeAlias = Annotated[
    str | None,
    option("--backbone", "Refuse to go on unless the store was made with this backbone.", "NAME"),
]
BatchSize: TypeAlias = Annotated[
    int | None,
    _speed(
        "--batch-size",
        "Texts or images that a model takes at a time.",
        "N",
        min=1,
        show_default="the backbone's",
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    _speed(
        "--device",
        "Where a model runs, and with `step` the memory too: cpu, cuda, cuda:1.",
        "DEVICE",
        show_default="a GPU if there is one",
    ),
]
_engine: Final = partial(option, rich_help_panel=ENGINE_PANEL)
Engine: TypeAlias = Annotated[
    str, _engine("--engine", "Who does the work: local (processes here) or ray.", "NAME")
]
Address: TypeAlias = Annotated[
    str | None,
    _engine(
        "--address",
        "The Ray cluster.",
        "HOST:PORT",
        show_default="RAY_ADDRESS, or one here meanwhile",
    ),
]
Jobs: TypeAlias = Annotated[
    int | None,
    _engine(
        "--jobs -j",
        "Processes at a time, where no cluster is named.",
        "N",
        min=1,
        show_default="the number of cores",
    ),
]
Pooling: TypeAlias = Annotated[
    str | None, _backbone("--pooling", "Of a model's hidden states: mean, cls, last, none.", "HOW")
]
Normalize: TypeAlias = Annotated[
    bool | None,
    _backbone("--normalize/--no-normalize", "Bring vectors to length 1, or leave them."),
]
DType: TypeAlias = Annotated[
    str | None,
    _backbone("--dtype", "Numbers a model computes with: float32, float16, bfloat16.", "TYPE"),
]
Revision: TypeAlias = Annotated[str | None, _backbone("--revision", "Revision of a model.", "REV")]
MaxLength: TypeAlias = Annotated[
    int | None, _backbone("--max-length", "Tokens above which a text is encoded in parts.", "N")
]
BackboneOptions: TypeAlias = Annotated[
    list[str] | None,
    _backbone("--backbone-option", "Any other option of the backbone. Repeatable.", "KEY=VALUE"),
]
# By the names of the verbs' parameters; all but the last are options of backbones too.
BACKBONE_OPTIONS: Final[Mapping[str, Any]] = {
    "pooling": Pooling,
    "normalize": Normalize,
    "dtype": DType,
    "revision": Revision,
    "max_length": MaxLength,
    "backbone_option": BackboneOptions,
}


def backbone_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `BACKBONE_OPTIONS` that have a value, by the names that backbones know."""
    *names, others = BACKBONE_OPTIONS
    named = {name: values[name] for name in names if values[name] is not None}
    return named | parse_pairs(
        "--backbone-option", values[others] or (), "write it like overlap=16"
    )


def speed_options(backbone: str, batch_size: int | None, device: str | None) -> dict[str, Any]:
    """Options that change a backbone's speed only; none for those that run no model."""
    from memoria.backbones import speed_options as options_of

    values = {"batch_size": batch_size, "device": device}
    return {name: values[name] for name in options_of(backbone) if values[name] is not None}


def parse_pairs(
    option: str, texts: Iterable[str], hint: str | None = None
) -> dict[str, str | bool | int | float]:
    """``KEY=VALUE`` texts of ``option`` as values: numbers and truth values where they are some."""
    values: dict[str, str | bool | int | float] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise UsageError(f"{option} {text}: not KEY=VALUE", hint)
        if key in values:
            raise UsageError(f"{option} {key}: given twice")
        values[key] = _parse_value(value)
    return values


def _parse_value(text: str) -> str | bool | int | float:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


# Work that is shared out, and what came of each part of it.


def refuse_engine(engine: str, address: str | None, jobs: int | None, needs: str) -> None:
    """Raise `UsageError` for options of an engine where there is nothing to share out."""
    for name, given in (
        ("--engine", engine != "local"),
        ("--address", address is not None),
        ("--jobs", jobs is not None),
    ):
        if given:
            raise UsageError(f"{name}: nothing is shared out", f"it goes with {needs}")


@contextmanager
def shared_out(what: str) -> Iterator[Progress]:
    """Per cent of the work on stderr; Ctrl-C says that the same command goes on."""
    with output.progress(what, "%") as show:
        try:
            yield lambda done, total: show(_WHOLE * done // max(total, 1), _WHOLE)
        except KeyboardInterrupt:
            raise StoppedError(
                "interrupted: what was committed is kept", "the same command goes on"
            ) from None


def report_parts(parts: Sequence[dict[str, Any]]) -> bool:
    """Note on stderr what failed, and what else a user should know; whether anything failed."""
    notices: dict[str, None] = {}
    for part in parts:
        notices |= dict.fromkeys(part.pop("notices", ()))
    for line in notices:
        output.note(line)
    failed = [part for part in parts if part["status"] == "failed"]
    for part in failed:
        error = part["error"]
        hint = f"; hint: {error['hint']}" if error["hint"] else ""
        where = "" if error["message"].startswith(part["path"]) else f"{part['path']} failed: "
        output.warn(f"memoria: {where}{error['message']}{hint}")
    return bool(failed)
