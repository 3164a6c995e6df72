"""`memoria experiment`: the paper's experiments, and one's own."""

from __future__ import annotations

from typing import Final

import typer

from memoria_cli.options import epilog
from memoria_cli.study.experiment import list_, report, run, sweep
from memoria_cli.terminal import output

__all__ = ["EXAMPLES", "register"]

# Each module has `EXAMPLES` and `register(group)`, which adds its verb.
_VERBS: Final = (list_, run, sweep, report)
EXAMPLES: Final = (list_.EXAMPLES[0], run.EXAMPLES[0])


def _main(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        text = context.get_help()  # with Rich it prints by itself and leaves nothing
        output.result({}, [text] if text else [], as_json=False)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    group = typer.Typer(
        name="experiment",
        help="Run the paper's experiments and your own: models with memory and their rivals.",
        epilog=epilog(EXAMPLES),
        invoke_without_command=True,
        subcommand_metavar="VERB ...",
    )
    group.callback()(_main)
    for verb in _VERBS:
        verb.register(group)
    app.add_typer(group)
