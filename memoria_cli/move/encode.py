"""`memoria encode`: texts, images or arrays to vectors in a file."""

from __future__ import annotations

from typing import Annotated, Any

from memoria_cli.options import (
    BACKBONE_PANEL,
    SPEED_PANEL,
    BackboneOptions,
    Device,
    DType,
    Inputs,
    Json,
    MaxLength,
    Normalize,
    Pooling,
    Revision,
    Texts,
    backbone_options,
    option,
    speed_options,
)
from memoria_cli.terminal import output
from memoria_cli.verbs import verb


@verb(
    "encode",
    "memoria encode diary.txt --backbone hash -o diary.zarr",
    "memoria encode diary.txt --backbone hash --dimension 128 --unit line -o lines.npy --json",
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
            "--out -o",
            "Where the vectors go: .zarr (which keeps the texts too), .npy or .safetensors.",
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
    overwrite: Annotated[bool, option("--overwrite --force", "Replace OUT if it exists.")] = False,
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
    json: Json = False,
) -> None:
    """Write the vectors of all inputs, in order, to a file: to be looked at, or added later."""
    from memoria.backbones import load_backbone
    from memoria.backbones.encode import encode_inputs
    from memoria.io.outputs import check_output

    check_output(out, overwrite, streamed=True)
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
    chosen |= speed_options(backbone, batch_size, device)
    loaded = load_backbone(backbone, dimension, **chosen)
    with output.progress("encoding", "items") as show:
        written = encode_inputs(
            inputs or (),
            loaded,
            out,
            unit=unit,
            batch_size=batch_size,
            progress=show,
            overwrite=overwrite,
            text=text or (),
        )
    for line in written.notices:
        output.note(line)
    document: dict[str, Any] = {
        "path": str(written.path.absolute()),
        "rows": written.rows,
        "items": written.items,
        "dimension": written.dimension,
        "backbone": loaded.name,
        "backbone_options": loaded.options,
    }
    human = f"{written.rows} vectors of {written.dimension} numbers in {written.path}"
    output.result(document, [human], json)
