"""The table of verbs, and the command that runs one of them. A verb is imported when it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import typer
from typer.core import TyperCommand

from memoria_cli.general import add_general_options
from memoria_cli.help_page import is_group
from memoria_cli.options import option
from memoria_cli.plain_values import take_plain_values
from memoria_cli.stores import find_its_store
from memoria_cli.terminal import output
from memoria_cli.verbs import VerbGroup, print_help_without_verb


class _Verb(NamedTuple):
    """Where a verb is declared, "family.module:name", and what the help says of it.

    The words are those of its docstring: the help of all verbs imports none of them.
    """

    place: str
    summary: str


COMPLETION_VARIABLE: Final = "_MEMORIA_COMPLETE"
# In the order of the help.
VERBS: Final[Mapping[str, _Verb]] = MappingProxyType(
    {
        "init": _Verb(
            "keep.init:init", "Create an empty store. It keeps the configuration it is born with."
        ),
        "add": _Verb(
            "keep.add:add", "Make the inputs the working memory: the first part of a step."
        ),
        "step": _Verb(
            "keep.step:step", "Read inputs step by step: add, remind and adjust each time."
        ),
        "edit": _Verb("keep.edit:edit", "Give an engram another text or meta."),
        "ask": _Verb("ask.ask:ask", "Ask which engrams answer a question, the best first."),
        "remind": _Verb(
            "ask.remind:remind", "Remind with the working memory: the second part of a step."
        ),
        "adjust": _Verb(
            "ask.adjust:adjust", "Give lifespan to what was reminded and end the step."
        ),
        "used": _Verb("ask.used:used", "Say which engrams answered a question: they live longer."),
        "inspect": _Verb(
            "look.inspect:inspect", "Show what a memory holds, or with ENGRAM the life of that one."
        ),
        "list": _Verb("look.list:list_", "List the engrams that pass all filters."),
        "diff": _Verb("look.diff:diff", "Compare two states of a memory, or two memories."),
        "replay": _Verb(
            "look.replay:replay", "Replay the life of a memory: check it, watch it, or change it."
        ),
        "plot": _Verb(
            "look.plot:plot", "Show what a memory's life tells, as a picture or as numbers."
        ),
        "report": _Verb(
            "look.report:report", "Write a page about a memory, to look at in a browser."
        ),
        "undo": _Verb(
            "undo.undo:undo", "Go back to before the last command that changed the memory."
        ),
        "pin": _Verb("undo.pin:pin", "Let engrams lose no lifespan until `memoria unpin`."),
        "unpin": _Verb(
            "undo.pin:unpin", "Let pinned engrams age again, from the lifespan they have."
        ),
        "forget": _Verb(
            "undo.forget:forget", "Forget engrams for ever: those named, or those found."
        ),
        "snapshot": _Verb(
            "undo.snapshot:snapshot",
            "Name states of a memory, open them as STORE@NAME, go back to them.",
        ),
        "export": _Verb(
            "move.export:export", "Write a memory as one file to ship, as tables, lines or a graph."
        ),
        "import": _Verb(
            "move.export:import_",
            "Make an archive a store again, or read other programs' memories.",
        ),
        "push": _Verb("move.sync:push", "Bring a memory at an S3-compatible place up to a store."),
        "pull": _Verb("move.sync:pull", "Make the memory at an S3-compatible place a store here."),
        "encode": _Verb(
            "move.encode:encode", "Write the vectors of all inputs, in order, to a file."
        ),
        "compact": _Verb("check.compact:compact", "Reclaim the space of what was forgotten."),
        "verify": _Verb(
            "check.verify:verify", "Read every byte of a store and check it, or repair it with -o."
        ),
        "config": _Verb(
            "check.config:config", "Show and change settings: those of a memory, and your own."
        ),
        "serve": _Verb(
            "serve.serve:serve",
            "Serve a page to look at a memory and ask it, and a JSON API.",
        ),
        "mcp": _Verb(
            "serve.mcp:mcp",
            "Give an agent a memory: tools of the Model Context Protocol.",
        ),
        "experiment": _Verb(
            "study.experiment:experiment", "Run the paper's experiments and your own."
        ),
        "demo": _Verb("study.demo:demo", "Show what a memory does: a tour of the other verbs."),
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
        add_general_options(one)
        find_its_store(one)
        take_plain_values(one)
    return made


class _Group(VerbGroup):
    is_root = True

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Verbs()  # type: ignore[assignment]

    def list_commands(self, ctx: Any) -> list[str]:
        return [*VERBS]

    def _main_shell_completion(
        self, ctx_args: Any, prog_name: str, complete_var: str | None = None
    ) -> None:
        instruction = os.environ.get(COMPLETION_VARIABLE)
        if instruction:
            from memoria_cli.completion import answer

            output.lines(answer(self, instruction))
            raise SystemExit(0)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The verb as the help and a shell's completion show it; `resolve_command` imports it."""
        if (found := VERBS.get(cmd_name)) is None:
            return None
        panel = found.place.partition(".")[0].capitalize()
        return TyperCommand(cmd_name, help=found.summary, rich_help_panel=panel)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, found, rest = super().resolve_command(ctx, args)
        if name is None:
            return name, found, rest
        verb = self.commands[name]
        if not (is_group(verb) or {"-h", "--help"} & {*rest}):
            verb.context_settings = {**verb.context_settings, "default_map": _defaults(name, verb)}
        return name, verb, rest


def _defaults(name: str, verb: Any) -> dict[str, Any]:
    """The user's own defaults for a verb, which are told to those who want to know more."""
    from memoria_cli.user_settings import default_map, user_defaults

    found = user_defaults(name, verb)
    for one in found:
        output.detail(f"{one.name} = {one.value} ({one.source})")
    return default_map(verb, found)


@cache
def command() -> Any:
    """The command that runs an argument list."""
    app = typer.Typer(
        name="memoria",
        cls=_Group,
        help="A human-like Hebbian memory on disk: add, remind, adjust.",
        epilog="`memoria VERB --help` has examples. Exit codes: 0 ok, 1 failure, 2 usage, "
        "3 damage found, 10 no store, 11 locked, 12 another format, 130 interrupted.",
        add_completion=False,
        invoke_without_command=True,
        subcommand_metavar="VERB ...",
        pretty_exceptions_enable=False,
    )
    app.callback()(_main)
    made = typer.main.get_command(app)
    add_general_options(made)
    take_plain_values(made)
    return made


def _show_completion(context: typer.Context, shell: str | None) -> None:
    if shell is not None and not context.resilient_parsing:
        from memoria_cli.completion import SCRIPTS

        output.lines(SCRIPTS[shell].splitlines())
        raise typer.Exit


def _install_completion(context: typer.Context, shell: str | None) -> None:
    if shell is not None and not context.resilient_parsing:
        from memoria_cli.completion import install

        path, left = install(shell)
        output.lines([f"{path}: {left}"])
        raise typer.Exit


_Shell: TypeAlias = Literal["bash", "zsh", "fish"]


def _main(
    context: typer.Context,
    install_completion: Annotated[
        _Shell | None,
        option(
            "--install-completion",
            "Let a shell complete verbs, options, stores, snapshots and engrams.",
            "SHELL",
            callback=_install_completion,
            is_eager=True,
            expose_value=False,
        ),
    ] = None,
    show_completion: Annotated[
        _Shell | None,
        option(
            "--show-completion",
            "Print what that would install.",
            "SHELL",
            callback=_show_completion,
            is_eager=True,
            expose_value=False,
        ),
    ] = None,
) -> None:
    print_help_without_verb(context)
