"""The table of verbs, and the command that runs one of them. A verb is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from memoria_cli.options import option
from memoria_cli.plain_values import take_plain_values
from memoria_cli.stores import find_its_store
from memoria_cli.terminal import output
from memoria_cli.verbs import print_help_without_verb


class _Verb(NamedTuple):
    """Where a verb is declared, "family.module:name", and what the help says of it.

    The words are those of its docstring: the help of all verbs imports none of them.
    """

    place: str
    summary: str


# In the order of the help.
VERBS: Final[Mapping[str, _Verb]] = MappingProxyType(
    {
        "init": _Verb(
            "keep.init:init",
            "Create an empty store. It keeps the configuration it is born with.",
        ),
        "add": _Verb(
            "keep.add:add",
            "Make the inputs the working memory: the first part of a step.",
        ),
        "ask": _Verb(
            "ask.ask:ask",
            "Ask which engrams answer a question, the best first. Changes nothing unless told to.",
        ),
        "remind": _Verb(
            "ask.remind:remind",
            "Remind with the working memory and let everything fire: the second part of a step.",
        ),
        "adjust": _Verb(
            "ask.adjust:adjust",
            "Give lifespan to what was reminded and end the step.",
        ),
        "step": _Verb(
            "keep.step:step",
            "Step through the inputs: add, remind and adjust, one working memory after another.",
        ),
        "used": _Verb(
            "ask.used:used",
            "Say which engrams answered: they gain lifespan, and the question is kept beside them.",
        ),
        "inspect": _Verb(
            "look.inspect:inspect",
            "Show what a memory holds, in pictures: counts, lifespans, ages, who is "
            "connected most.",
        ),
        "list": _Verb(
            "look.list:list_",
            "List the engrams that pass all filters, the living ones unless --type says otherwise.",
        ),
        "diff": _Verb(
            "look.diff:diff",
            "Show what became of A's engrams in B: born, forgotten, moved; lifespans and "
            "connections.",
        ),
        "replay": _Verb(
            "look.replay:replay",
            "Replay the life of a memory and compare every step with what was logged.",
        ),
        "plot": _Verb(
            "look.plot:plot",
            "Show what a memory's life tells, as a picture or as numbers.",
        ),
        "report": _Verb(
            "look.report:report",
            "Write a page about a memory: summary, plots, and its engrams moving through the "
            "steps.",
        ),
        "edit": _Verb(
            "keep.edit:edit",
            "Give an engram another text or meta. Its id, lifespan and connections stay.",
        ),
        "undo": _Verb(
            "undo.undo:undo",
            "Go back to the state before the last command that changed the memory; asks first.",
        ),
        "pin": _Verb(
            "undo.pin:pin",
            "Let engrams lose no lifespan until `memoria unpin`; only between steps.",
        ),
        "unpin": _Verb(
            "undo.pin:unpin",
            "Let pinned engrams age again, from the lifespan they have; only between steps.",
        ),
        "forget": _Verb(
            "undo.forget:forget",
            "Forget engrams at once and for ever: those named, or those found.",
        ),
        "snapshot": _Verb(
            "undo.snapshot:snapshot",
            "Name states of a memory, open them as STORE@NAME, go back to them.",
        ),
        "compact": _Verb("check.compact:compact", "Reclaim the space of what was forgotten."),
        "verify": _Verb(
            "check.verify:verify",
            "Read every byte of a store and check it against the log, the digests and every rule.",
        ),
        "config": _Verb(
            "check.config:config",
            "Show what a memory is and what may change about it, and change that.",
        ),
        "export": _Verb(
            "move.export:export",
            "Write a memory as one file to ship, as tables, lines or a graph.",
        ),
        "import": _Verb(
            "move.export:import_",
            "Make the memory in an archive a store again, every chunk of it verified.",
        ),
        "push": _Verb(
            "move.sync:push",
            "Make what is committed in a store the memory at an S3-compatible place.",
        ),
        "pull": _Verb(
            "move.sync:pull",
            "Make the memory at an S3-compatible place a store here, or bring an older copy "
            "up to it.",
        ),
        "encode": _Verb(
            "move.encode:encode",
            "Write the vectors of all inputs, in order, to a file: to be looked at, or added "
            "later.",
        ),
        "experiment": _Verb(
            "study.experiment:experiment",
            "Run the paper's experiments and your own: models with memory and their rivals.",
        ),
        "demo": _Verb(
            "study.demo:demo",
            "Show what a memory does: read a text, ask it, see what it kept and forgot.",
        ),
    }
)


class _Verbs(Mapping[str, Any]):
    """The commands by name, each built when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return _verb(name)

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


@cache
def _verb(name: str) -> Any:
    module, _, attribute = VERBS[name].place.partition(":")
    made = typer.main.get_command(getattr(import_module(f"memoria_cli.{module}"), attribute))
    for one in (made, *getattr(made, "commands", {}).values()):
        find_its_store(one)
        take_plain_values(one)
    return made


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Verbs()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        return [*VERBS]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb as the help and a shell's completion show it; `resolve_command` imports it."""
        if (found := VERBS.get(cmd_name)) is None:
            return None
        panel = found.place.partition(".")[0].capitalize()
        return TyperCommand(cmd_name, help=found.summary, rich_help_panel=panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, found, rest = super().resolve_command(ctx, args)
        return name, found if name is None else self.commands[name], rest


@cache
def command() -> Any:
    """The command that runs an argument list."""
    app = typer.Typer(
        name="memoria",
        cls=_Group,
        help="A human-like Hebbian memory on disk: add, remind, adjust.",
        epilog="`memoria VERB --help` has examples. Exit codes: 0 ok, 1 failure, 2 usage, "
        "3 damage found, 10 no store, 11 locked, 12 another format, 130 interrupted.",
        invoke_without_command=True,
        subcommand_metavar="VERB ...",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    made = typer.main.get_command(app)
    take_plain_values(made)
    return made


def _show_version(wanted: bool) -> None:
    if wanted:
        from memoria import __version__

        output.result({"version": __version__}, [f"memoria {__version__}"], as_json=False)
        raise typer.Exit


def _main(
    context: typer.Context,
    version: Annotated[
        bool, option("--version", "Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    print_help_without_verb(context)
