"""The table of verbs, and the command that runs one of them. A verb is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from memoria_cli.options import option
from memoria_cli.terminal import output
from memoria_cli.verbs import print_help_without_verb

# Verb: where it is declared, "family.module:name". In the order of the help.
VERBS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "init": "keep.init:init",
        "add": "keep.add:add",
        "remind": "ask.remind:remind",
        "adjust": "ask.adjust:adjust",
        "step": "keep.step:step",
        "inspect": "look.inspect:inspect",
        "list": "look.list:list_",
        "diff": "look.diff:diff",
        "replay": "look.replay:replay",
        "plot": "look.plot:plot",
        "report": "look.report:report",
        "pin": "undo.pin:pin",
        "unpin": "undo.pin:unpin",
        "forget": "undo.forget:forget",
        "snapshot": "undo.snapshot:snapshot",
        "compact": "check.compact:compact",
        "verify": "check.verify:verify",
        "export": "move.export:export",
        "import": "move.export:import_",
        "push": "move.sync:push",
        "pull": "move.sync:pull",
        "encode": "move.encode:encode",
        "experiment": "study.experiment:experiment",
        "demo": "study.demo:demo",
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
    module, _, attribute = VERBS[name].partition(":")
    made = typer.main.get_command(getattr(import_module(f"memoria_cli.{module}"), attribute))
    made.rich_help_panel = module.partition(".")[0].capitalize()  # type: ignore[attr-defined]
    return made


class _Group(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Verbs()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        return [*VERBS]


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
    return typer.main.get_command(app)


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
