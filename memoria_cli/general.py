"""Options that mean the same in every verb: -q, -v, -V and -h."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeAlias

import typer

from memoria_cli.help_page import GENERAL_PANEL, help_page
from memoria_cli.terminal import output


def add_general_options(command: Any) -> None:
    """Give a verb the general options, the last of its help."""
    command.params += [one for one in _general_options() if one not in command.params]


def show_help(context: typer.Context) -> None:
    """Print the help of the context's verb."""
    from memoria_cli.terminal.help_lines import help_lines

    page = help_page(context.command, context.command_path)
    output.lines(help_lines(page, output.page().width, output.is_styled()))


def _show_help(context: typer.Context, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        show_help(context)
        raise typer.Exit


def _show_version(context: typer.Context, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from memoria import __version__

        output.result({"version": __version__}, [f"memoria {__version__}"], output.wants_json())
        raise typer.Exit


def _be_quiet(wanted: bool) -> None:
    if wanted:
        output.set_loudness(output.Loudness.QUIET)


def _be_verbose(context: typer.Context, wanted: bool) -> None:
    if wanted:
        from memoria_cli.user_settings import user_defaults

        output.set_loudness(output.Loudness.VERBOSE)
        for one in user_defaults(context.info_name or "", context.command):
            output.detail(f"{one.name} = {one.value} ({one.source})")


def _option(names: str, help: str, callback: Any) -> Any:
    return typer.Option(
        *names.split(),
        help=help,
        callback=callback,
        is_eager=True,
        expose_value=False,
        show_default=False,
        rich_help_panel=GENERAL_PANEL,
    )


_Quiet: TypeAlias = Annotated[
    bool, _option("--quiet -q", "Say nothing but results and errors.", _be_quiet)
]
_Verbose: TypeAlias = Annotated[
    bool,
    _option(
        "--verbose -v",
        "Say more on stderr: which settings hold, how long it took, where an unexpected error "
        "came from.",
        _be_verbose,
    ),
]
_Version: TypeAlias = Annotated[bool, _option("--version -V", "Show the version.", _show_version)]
_Help: TypeAlias = Annotated[bool, _option("--help -h", "Show this help.", _show_help)]


@cache
def _general_options() -> tuple[Any, ...]:
    """The options themselves, one set for all verbs, whose functions never see them."""

    def general(
        quiet: _Quiet = False,
        verbose: _Verbose = False,
        version: _Version = False,
        help: _Help = False,
    ) -> None:
        pass

    app = typer.Typer(add_completion=False)
    app.command()(general)
    return tuple(typer.main.get_command(app).params)
