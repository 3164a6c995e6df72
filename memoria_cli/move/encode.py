"""`memoria encode`: texts, images or arrays to vectors in a file."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from memoria.errors import UsageError
from memoria_cli.options import (
    BACKBONE_PANEL,
    ENGINE_PANEL,
    SPEED_PANEL,
    Address,
    BackboneOptions,
    Device,
    DType,
    Engine,
    Inputs,
    Jobs,
    Json,
    MaxLength,
    Normalize,
    Pooling,
    Revision,
    Texts,
    backbone_options,
    option,
    refuse_engine,
    report_parts,
    shared_out,
    speed_options,
)
from memoria_cli.terminal import output
from memoria_cli.terminal.formatting import format_count
from memoria_cli.terminal.piped import STANDARD_OUTPUT, piped, report, shown_place
from memoria_cli.verbs import verb


@verb(
    "encode",
    "memoria encode diary.txt --backbone hash -o diary.zarr",
    "memoria encode diary.txt --backbone hash --dimension 128 --unit line -o lines.npy --json",
    "memoria encode diary.txt --backbone hash --shards 2 --batch-size 4 -o parts.npy",
)
def encode(
    backbone: Annotated[
        str,
        option(
            "--backbone",
            "hash, array, hf:ID_OR_PATH, st:ID_OR_PATH, or one of an installed package.",
            "NAME",
        ),
    ],
    out: Annotated[
        str,
        option(
            "--output -o",
            "Where the vectors go: .zarr (which keeps the texts too), .npy or .safetensors; - for "
            "standard output, as .npy.",
            "OUT",
        ),
    ],
    inputs: Inputs = None,
    text: Texts = None,
    unit: Annotated[
        str,
        option(
            "--unit",
            "What part of a text becomes one vector: sentence, paragraph, line, window:N.",
            "UNIT",
        ),
    ] = "sentence",
    force: Annotated[bool, option("--force", "Replace OUT if it exists.")] = False,
    dimension: Annotated[
        int | None,
        option(
            "--dimension",
            "Numbers in a vector.",
            "D",
            min=1,
            show_default="the backbone's",
            rich_help_panel=BACKBONE_PANEL,
        ),
    ] = None,
    pooling: Pooling = None,
    normalize: Normalize = None,
    dtype: DType = None,
    revision: Revision = None,
    max_length: MaxLength = None,
    backbone_option: BackboneOptions = None,
    batch_size: Annotated[
        int,
        option("--batch-size", "Items encoded at a time.", "N", min=1, rich_help_panel=SPEED_PANEL),
    ] = 64,
    device: Device = None,
    shards: Annotated[
        int | None,
        option(
            "--shards",
            "Write N files, NAME-00000-of-0000N and so on, of which each is made by itself; those "
            "that are done are kept.",
            "N",
            min=1,
            rich_help_panel=ENGINE_PANEL,
        ),
    ] = None,
    engine: Engine = "local",
    address: Address = None,
    jobs: Jobs = None,
    json: Json = False,
) -> None:
    """Write the vectors of all inputs, in order, to a file.

    They can be looked at, or added later. With --shards they go to several files, made some at a
    time, here or on Ray. A shard that fails does not stop the others; the same command makes what
    is left.
    """
    from memoria.backbones import load_backbone
    from memoria.backbones.encode import check_inputs, encode_inputs
    from memoria.io.outputs import check_output

    if shards is None:
        refuse_engine(engine, address, jobs, "--shards")
        if out != STANDARD_OUTPUT:
            check_output(out, force, streamed=True)
    elif out == STANDARD_OUTPUT:
        raise UsageError("-o -: several files do not go to standard output", "leave out --shards")
    chosen = backbone_options(
        {
            "pooling": pooling,
            "normalize": normalize,
            "dtype": dtype,
            "revision": revision,
            "max_length": max_length,
            "backbone_option": backbone_option,
        }
    )
    speed = speed_options(backbone, batch_size, device)
    check_inputs(inputs or (), text=text or (), unit=unit)  # loading a model may take a minute
    loaded = load_backbone(backbone, dimension, **chosen | speed)
    about = {"backbone": loaded.name, "backbone_options": loaded.options}
    if shards is not None:
        from memoria.backbones.shards import encode_shards

        with shared_out(f"encoding {shards} shards") as show:
            parts = encode_shards(
                inputs or (),
                loaded,
                out,
                shards,
                run_options=speed,
                unit=unit,
                batch_size=batch_size,
                text=text or (),
                overwrite=force,
                engine=engine,
                address=address,
                jobs=jobs,
                progress=show,
            )
        _report_shards(parts, about, json)
        return
    with piped(out, ".npy", json) as target, output.progress("encoding", "items") as show:
        written = encode_inputs(
            inputs or (),
            loaded,
            target,
            unit=unit,
            batch_size=batch_size,
            progress=show,
            overwrite=force,
            text=text or (),
        )
    for line in written.notices:
        output.note(line)
    document: dict[str, Any] = {
        "path": str(written.path.absolute()),
        "rows": written.rows,
        "items": written.items,
        "dimension": written.dimension,
        **about,
    }
    vectors = f"{format_count(written.rows, 'vector')} of {written.dimension} numbers"
    report(document, [f"{vectors} in {shown_place(out, out)}"], json, out)


def _report_shards(parts: list[dict[str, Any]], about: dict[str, Any], json: bool) -> None:
    """Print what came of each shard; the exit code is 1 if one failed."""
    failed = report_parts(parts)
    made = [part for part in parts if part["status"] != "failed"]
    document: dict[str, Any] = {
        "shards": parts,
        "rows": sum(part["rows"] for part in made),
        "items": sum(part["items"] for part in made),
        "dimension": made[0]["dimension"] if made else None,
        **about,
    }
    columns: dict[str, output.Column] = {
        "shard": "path",
        "status": "status",
        "rows": lambda part: part.get("rows"),
    }
    title = f"{format_count(document['rows'], 'vector')} in {len(made)} of {len(parts)} shards"
    output.result(document, [output.table(title, parts, columns)], json)
    if failed:
        raise typer.Exit(1)
