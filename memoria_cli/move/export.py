"""`memoria export` and `memoria import`: a memory as one file, or in other programs' formats."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Annotated, Any, Literal, TypeAlias, get_args

from memoria.errors import UsageError
from memoria_cli.options import Json, argument, option
from memoria_cli.stores import StoreAt, split_store
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_bytes, format_count
from memoria_cli.verbs import verb

Origin: TypeAlias = Literal["chroma", "mem0", "chatgpt", "claude"]
_Format: TypeAlias = Literal["zip", "zarr", "parquet", "jsonl", "graphml"]


@verb(
    "export",
    "memoria export notes notes.memoria.zip",
    "memoria export notes notes.jsonl",
    "memoria export notes notes-tables --format parquet --forgotten --vectors",
    "memoria export notes notes.graphml --edges 8",
    "memoria export notes@2 second.jsonl --vectors --json",
)
def export(
    store: StoreAt,
    out: Annotated[
        str, argument("OUT", "The file or folder to write; - for standard output, as jsonl.")
    ],
    style: Annotated[
        _Format | None,
        option(
            "--format",
            "zip (the memory itself, to `import` elsewhere), zarr (a plain copy of it), "
            "parquet (a folder of tables), jsonl (an engram a line), graphml (a graph).",
            show_default="by OUT's extension",
        ),
    ] = None,
    vectors: Annotated[
        bool, option("--vectors", "The engrams' vectors too; not in a graph.")
    ] = False,
    forgotten: Annotated[bool, option("--forgotten", "The forgotten engrams too.")] = False,
    edges: Annotated[
        int, option("--edges", "Connections of each engram, the strongest.", "N", min=0)
    ] = 64,
    no_history: Annotated[
        bool, option("--no-history", "Of zip and zarr: only what lives, nothing of the forgotten.")
    ] = False,
    force: Annotated[bool, option("--force", "Replace OUT if it exists.")] = False,
    json: Json = False,
) -> None:
    """Write a memory as one file to ship, as tables, lines or a graph.

    STORE@NAME and STORE@STEP are written as they were. A zip is the same bytes for the same
    state, and reading verbs open it where it lies.
    """
    if out == "-":
        out, style = "/dev/stdout", style or "jsonl"
    form = _by_extension(out) if style is None else style
    if form in ("zip", "zarr"):
        if vectors or forgotten:
            raise UsageError(f"{form} holds all", "leave out --vectors and --forgotten")
        if force and form == "zarr":
            raise UsageError("--force: a store is never replaced", "name a new folder")
        document = {"format": form, **_write_store(store, out, form, not no_history, force)}
        held = f"{format_count(document['engrams'], 'engram')} at step {document['step']}"
    else:
        if no_history:
            raise UsageError(f"--no-history with {form}", "it is for zip and zarr")
        from memoria.exports import export_memory
        from memoria.query.inspection import Inspection

        with (
            Inspection.open(*split_store(store)) as view,
            output.progress("exporting", "rows") as show,
        ):
            document = export_memory(
                view,
                out,
                form,
                force=force,
                vectors=vectors,
                forgotten=forgotten,
                edges=edges,
                progress=show,
            )
        edges_held = format_count(document["edges"], "connection")
        held = f"{format_count(document['engrams'], 'engram')} and {edges_held}"
    place = "standard output" if output.is_standard_output(out) else out
    human = f"{held} in {place}, {format_bytes(document['bytes'])}"
    if output.is_standard_output(out):
        output.note(human)
    else:
        output.result(document, [human], json)


@verb(
    "import",
    "memoria import notes.memoria.zip copy",
    "memoria import notes.memoria.zip elsewhere --json",
)
def import_(
    archive: Annotated[
        str,
        argument(
            "FILE",
            "An archive of a memory; or a folder of Chroma, the memories of mem0 as JSON, the "
            "export of ChatGPT or Claude.",
        ),
    ],
    store: Annotated[str, argument("STORE", "The store to make, or to go on with texts.")],
    origin: Annotated[
        Origin | None,
        option(
            "--from", "The program that left the texts.", show_default="told by the form of FILE"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Make an archive a store again, or read other programs' memories.

    Every chunk of an archive is verified, and it goes on step for step as the original would. The
    store is there as a whole or not at all; an existing one is refused.

    Texts of other programs become steps of STORE, which is made where there is none, with their
    times, speakers and meta. Those that were imported before are passed over.
    """
    from memoria.imports.importing import import_texts, may_be_foreign
    from memoria.store.archive import import_archive

    if origin is not None or may_be_foreign(archive):
        with output.progress("importing", "texts") as show:
            document = import_texts(archive, store, origin, show)
        texts = format_count(document["texts_added"], "text")
        engrams = format_count(document["engrams_added"], "engram")
        skipped = document["texts_skipped"]
        known = f", {skipped:,} known already" if skipped else ""
        human = f"{document['path']}: {texts} of {document['origin']}, {engrams}{known}"
    else:
        with output.progress("importing", "bytes") as show:
            document = import_archive(archive, store, show)
        engrams = format_count(document["engrams"], "engram")
        human = f"{document['path']}: {engrams} at step {document['step']}"
    output.result(document, [human], json)


def _write_store(
    store: str, out: str, form: _Format, history: bool, force: bool
) -> Mapping[str, Any]:
    from memoria.store.archive import write_archive, write_copy
    from memoria.store.reading import open_files

    with closing(open_files(*split_store(store))) as files:
        if form == "zip":
            return write_archive(files, out, history, force)
        return write_copy(files, out, history)


def _by_extension(out: str) -> _Format:
    known: tuple[_Format, ...] = get_args(_Format)
    for form in known:
        if out.lower().rstrip("/").endswith(f".{form}"):
            return form
    raise UsageError(
        f"{out}: the extension names no format", f"say --format, one of {', '.join(known)}"
    )
