"""How a verb is declared: a function, its name and the examples of its help."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer

from memoria_cli.terminal import output


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
        text = context.get_help()  # Rich prints by itself and leaves nothing
        output.result({}, [text] if text else [], as_json=False)


def _epilog(examples: Sequence[str]) -> str:
    return "\n\n".join(["Examples:", *examples])
