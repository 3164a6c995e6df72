"""How a verb is declared: a function, its name and the examples of its help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from memoria.errors import UsageError
from memoria_cli.general import show_help


class VerbGroup(TyperGroup):
    """Verbs by name; a name that is none of them is answered by the one that is meant."""

    is_root = False

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        word = args[0]
        if ctx.resilient_parsing or word.startswith("-") or self.get_command(ctx, word):
            return super().resolve_command(ctx, args)
        from memoria_cli.suggestions import suggest_verb

        path = ctx.command_path
        hint = f"`{path} --help` lists the verbs"
        if meant := suggest_verb(word, self.list_commands(ctx), not self.is_root):
            also = "" if meant.startswith("--") else f" {hint}"
            hint = f"did you mean `{path} {meant}`?{also}"
        raise UsageError(f"{word}: no such verb", hint)


def verb(
    name: str, *examples: str, help: str | None = None
) -> Callable[[Callable[..., Any]], typer.Typer]:
    """Make a function the verb ``name``; its docstring is the help, unless ``help`` is given."""

    def declare(function: Callable[..., Any]) -> typer.Typer:
        app = typer.Typer(add_completion=False)
        app.command(name, help=help, epilog=_epilog(examples))(function)
        return app

    return declare


def group(name: str, help: str, examples: Sequence[str], *verbs: typer.Typer) -> typer.Typer:
    """A verb that has verbs of its own; without one it prints its help."""
    app = typer.Typer(
        name=name,
        cls=VerbGroup,
        help=help,
        epilog=_epilog(examples),
        add_completion=False,
        invoke_without_command=True,
        subcommand_metavar="VERB ...",
        callback=print_help_without_verb,
    )
    for one in verbs:
        app.registered_commands += one.registered_commands
    return app


def print_help_without_verb(context: typer.Context) -> None:
    """Print the help where no verb is named."""
    if context.invoked_subcommand is None:
        show_help(context)


def _epilog(examples: Sequence[str]) -> str:
    return "\n\n".join(["Examples:", *examples])
