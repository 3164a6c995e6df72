"""The Typer app: its verbs, in the order of the help."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Final

import typer

from memoria_cli.ask import adjust, remind
from memoria_cli.check import compact, verify
from memoria_cli.keep import add, init, step
from memoria_cli.look import diff, inspect, list, plot, replay, report
from memoria_cli.move import encode, export, import_, pull, push
from memoria_cli.study import demo, experiment
from memoria_cli.terminal import output
from memoria_cli.undo import forget, pin, snapshot, unpin

__all__ = ["VERBS", "build", "command"]

# Each module has `register(app)`, which adds its verb or verbs.
VERBS: Final = (
    init,
    add,
    remind,
    adjust,
    step,
    inspect,
    list,
    diff,
    replay,
    plot,
    report,
    pin,
    unpin,
    forget,
    snapshot,
    compact,
    verify,
    export,
    import_,
    push,
    pull,
    encode,
    experiment,
    demo,
)


def build() -> typer.Typer:
    """A new app with every verb."""
    app = typer.Typer(
        name="memoria",
        help="A human-like Hebbian memory on disk: add, remind, adjust.",
        epilog="`memoria VERB --help` has examples. Exit codes: 0 ok, 1 failure, 2 usage, "
        "3 damage found, 10 no store, 11 locked, 12 newer format, 130 interrupted.",
        invoke_without_command=True,
        subcommand_metavar="VERB ...",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    for verb in VERBS:
        verb.register(app)
    return app


@cache
def command() -> Any:
    """The command that runs an argument list."""
    return typer.main.get_command(build())


def _show_version(asked: bool) -> None:
    if asked:
        from memoria import __version__

        output.result({"version": __version__}, [f"memoria {__version__}"], as_json=False)
        raise typer.Exit


def _main(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        text = context.get_help()  # with Rich it prints by itself and leaves nothing
        output.result({}, [text] if text else [], as_json=False)
