"""From the STORE argument of a verb to the store, opened once."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import typer

from memoria.errors import StoreNotFoundError, UsageError
from memoria_cli.terminal import output

if TYPE_CHECKING:
    from memoria.store import MemoryStore
    from memoria.store.memory_files import MemoryFiles

_VARIABLE: Final = "MEMORIA_STORE"
HIDDEN: Final = ".memoria"
_HEAD: Final = 4096  # bytes of a root, which begins with the store's attributes
_ARGUMENT: Final = "store"
_OPTION: Final = "store_named"
_INSTEAD: Final = ("each", "user")  # options with which no store is meant
_MAKES_STORES: Final = ("init",)
_READS: Final = ("inspect", "list", "plot", "report", "replay", "export", "verify", "show")
_Named: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="STORE",
        help="The store, if not the first argument, MEMORIA_STORE or the nearest .memoria upwards.",
        expose_value=False,
    ),
]


def split_store(store: str) -> tuple[str, int | str | None]:
    """Split a `StoreAt` argument into (path, at), for what opens with ``at=``.

    ``STORE@NAME`` is a snapshot, ``STORE@STEP`` a finished step; ``at`` is None for the present,
    and for anything that exists under the whole text.
    """
    from memoria.store.reading import split_moment

    return split_moment(store)


def find_store(words: Sequence[str], named: str | None = None) -> tuple[str, Sequence[str]]:
    """Return the store that a verb means, and the ``words`` that do not name it.

    It is ``named``, else the first word if it opens as a store, else MEMORIA_STORE, else the
    nearest ``.memoria`` upwards of the working directory. A copy of its root that a synchronised
    folder has made of a conflict is told on stderr.

    Raises:
        StoreNotFoundError: there is none of them.
    """
    store, rest = _found(words, named)
    _tell_of_conflicts(split_store(store)[0])
    return store, rest


def _found(words: Sequence[str], named: str | None) -> tuple[str, Sequence[str]]:
    if named is not None:
        return named, words
    if words and is_named_store(words[0]):
        return words[0], words[1:]
    if os.environ.get(_VARIABLE):
        return os.environ[_VARIABLE], words
    from memoria.chunkstore.root import is_store

    here = Path.cwd()
    for folder in (here, *here.parents):
        if is_store(folder / HIDDEN):
            return str(folder / HIDDEN), words
    what = f"{words[0]}: is not a store, and there" if words else "there"
    raise StoreNotFoundError(
        f"{what} is no {HIDDEN} here or above",
        f"name the store first, with --store, or in {_VARIABLE}",
    )


def _tell_of_conflicts(store: str) -> None:
    """Name a conflict copy of the root: where two machines write at once, there is one."""
    from memoria.chunkstore.root import conflict_copies

    copies = conflict_copies(store)
    if copies:
        output.note(
            f"{store}: {copies[0]} is a conflict copy of a synchronised folder, so two machines "
            f"wrote at once; `memoria verify {store}` tells whether what is there is sound"
        )


def find_its_store(command: Any) -> None:
    """Let a verb whose first argument is STORE do without it: `find_store` says which is meant.

    Where there is no store to find, the verb sees the line as it was typed. A verb that may write
    names a store that nobody named, on stderr.
    """
    first = next((one for one in command.params if one.param_type_name == "argument"), None)
    if first is None or first.name != _ARGUMENT or command.name in _MAKES_STORES:
        return
    command.params.append(_store_option())
    options = copy(command)
    options.params = [one for one in command.params if one.param_type_name == "option"]
    parse = command.parse_args

    def parse_args(context: Any, arguments: list[str]) -> list[str]:
        rest: list[str] = parse(context, _with_store(options, context, arguments))
        return rest

    command.parse_args = parse_args


def _with_store(options: Any, context: Any, arguments: list[str]) -> list[str]:
    """The ``arguments`` of a verb, with the store first; ``options`` is the verb without others."""
    if context.resilient_parsing:
        return arguments
    try:
        given, words, _ = options.make_parser(context).parse_args(list(arguments))
    except typer.TyperException:
        return arguments  # the verb says what is wrong
    if given.get("help") or any(given.get(name) for name in _INSTEAD):
        return arguments
    named = given.get(_OPTION)
    try:
        store, rest = find_store(words, named)
    except StoreNotFoundError:
        return arguments
    if len(rest) < len(words):  # the first word
        return arguments
    if named is None and options.name not in _READS:
        output.note(f"the store is {store}")
    return [store, *arguments]


def _store_option() -> Any:
    """The option --store, which the functions of verbs never see."""

    def named(store_named: _Named = None) -> None:
        pass

    app = typer.Typer(add_completion=False)
    app.command()(named)
    return typer.main.get_command(app).params[0]


def is_named_store(word: str) -> bool:
    """Whether a word names a store: a directory, an archive or an address."""
    if word.startswith("s3://"):
        return True
    path = Path(split_store(word)[0])
    return _is_memory(path) if path.is_dir() else path.suffix == ".zip" and path.is_file()


def _is_memory(folder: Path) -> bool:
    """Whether a store of ours lies there, sound or not, and no other Zarr folder: an input."""
    from memoria.chunkstore.root import LEASE_NAME, ROOT_NAME
    from memoria.io.bounds import open_regular

    if os.path.lexists(folder / LEASE_NAME):
        return True
    try:
        with open(open_regular(folder / ROOT_NAME), "rb") as file:
            return b'"memoria"' in file.read(_HEAD)
    except (OSError, ValueError):
        return False


def require_present(store: str) -> str:
    """Refuse ``STORE@NAME`` and ``STORE@STEP`` where there is such a store."""
    if "@" in store:
        from memoria.chunkstore.root import is_store

        path, at = split_store(store)
        if at is not None and os.path.isdir(path) and is_store(Path(path)):
            raise UsageError(
                f"{store}: the past can only be read",
                f"leave out @{at}, or make it a store: `memoria snapshot restore {store} -o NEW`",
            )
    return store


def _require_present_if_named(store: str | None) -> str | None:
    return None if store is None else require_present(store)


def load_memory_store(
    files: MemoryFiles, verb: str | None, device: str | None = None
) -> MemoryStore:
    """The memory in opened ``files``, stepped in torch on ``device`` if one is named.

    If it changes, the store records that ``verb`` did it, and at which step and event it began;
    None only reads.
    """
    from memoria.store import MemoryStore

    store = MemoryStore(files, device)
    if verb is not None:
        store.begin_command(verb)
    return store


def keep_place(store: MemoryStore, backbone: str | None) -> None:
    """Let the store know from now on where its backbone lies, if that is not what it is named."""
    from memoria.backbones.streams import absolute_name

    if backbone is not None and backbone != store.config.backbone:
        store.change_settings({"backbone": absolute_name(backbone)})


_WRITTEN: Final = typer.Argument(
    metavar="STORE",
    help="The store's directory.",
    show_default=False,
    callback=_require_present_if_named,
)
_NEW: Final = typer.Argument(
    metavar="[STORE]",
    help=f"The store's directory, or what {_VARIABLE} names.",
    envvar=_VARIABLE,
    callback=require_present,
)
_READ: Final = typer.Argument(
    metavar="STORE",
    help="The store's directory. STORE@NAME and STORE@STEP are its past: a snapshot, a step.",
    show_default=False,
)
# A store that is written to: the past is refused.
Store: TypeAlias = Annotated[str, _WRITTEN]
# Of a verb that may take a list of stores instead.
OptionalStore: TypeAlias = Annotated[str | None, _WRITTEN]
# Of `init`, without which there is nothing to find.
NewStore: TypeAlias = Annotated[str, _NEW]
# A store that is only read: open `split_store` of it.
StoreAt: TypeAlias = Annotated[str, _READ]
OptionalStoreAt: TypeAlias = Annotated[str | None, _READ]
