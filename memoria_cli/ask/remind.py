"""`memoria remind`: what the working memory, or a cue, brings back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from memoria.errors import UsageError
from memoria_cli.backbone_options import run_options
from memoria_cli.options import (
    BatchSize,
    Device,
    Json,
    StoreAt,
    Unit,
    at_moment,
    epilog,
    present_only,
)
from memoria_cli.terminal import output
from memoria_cli.terminal.threads import one_thread_unless_a_model_runs

if TYPE_CHECKING:
    import numpy as np

    from memoria.store import Reminded

__all__ = ["EXAMPLES", "register"]

EXAMPLES: Final = (
    "memoria remind notes",
    'memoria remind notes --peek --cue-text "Where did the cat sit?" --top 3',
    "memoria remind vectors --json --out reminded.npz",
)


def _remind(
    store: StoreAt,
    peek: Annotated[
        bool, typer.Option("--peek", help="Ask without changing anything: nothing fires.")
    ] = False,
    cue: Annotated[
        list[str] | None,
        typer.Option(
            "--cue",
            metavar="INPUT",
            help="With --peek, ask with this input instead of the working memory: one for all "
            "lanes, or one for each.",
        ),
    ] = None,
    cue_text: Annotated[
        list[str] | None,
        typer.Option("--cue-text", metavar="TEXT", help="The same, with the text itself."),
    ] = None,
    unit: Unit = None,
    top: Annotated[
        int | None,
        typer.Option(
            "--top", min=1, metavar="N", help="Show only the N most correlated of each lane."
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            metavar="FILE.npz",
            help="Write ids, indices, memories and correlation to this file too.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", "--force", help="Let --out replace a file that exists.")
    ] = False,
    batch_size: BatchSize = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Remind with the working memory and let everything fire: the second part of a step.

    Asked again before `memoria adjust`, it repeats its answer. With --peek it only asks, and may
    be given a cue of its own, and the past: STORE@NAME as a snapshot left it, STORE@STEP as a step.
    """
    from memoria.io.outputs import check_output, save_arrays
    from memoria.store import read_config

    if (cue or cue_text) and not peek:
        raise UsageError(
            "--cue asks without changing anything, so it needs --peek",
            "add --peek, or `memoria add` the input first to remember it too",
        )
    path, at = at_moment(store) if peek else (present_only(store), None)
    config = read_config(path, at)
    if out is not None:
        if not out.lower().endswith(".npz"):
            raise UsageError(f"--out {out}: must be an .npz file")
        check_output(out, overwrite)
    data: np.ndarray[Any, Any] | None = None
    if cue or cue_text:
        from memoria.backbones.streams import InputStream

        speed = run_options(config.backbone, batch_size, device)
        stream = InputStream(config, cue or (), texts=cue_text or (), unit=unit, **speed)
        data = stream.single(as_cue=True).data
    from memoria.store import MemoryStore

    one_thread_unless_a_model_runs(config.backbone)
    with MemoryStore.open(path, "r" if peek else "r+", at) as opened:
        reminded = opened.peek(data) if peek else opened.remind()
        document: dict[str, Any] = {"step": opened.timestep, "lanes": reminded.records()}
    if out is not None:
        save_arrays(out, _arrays(reminded), overwrite)
    if top is not None:
        for lane in document["lanes"]:
            lane["reminded"] = sorted(lane["reminded"], key=lambda one: -one["correlation"])[:top]
    output.result(document, [_table(lane) for lane in document["lanes"]], json)


def _arrays(reminded: Reminded) -> dict[str, np.ndarray[Any, Any]]:
    return {
        "ids": reminded.ids.numpy(),
        "indices": reminded.indices.numpy(),
        "memories": reminded.memories.numpy(),
        "correlation": reminded.correlation.numpy(),
    }


def _table(lane: Mapping[str, Any]) -> output.Table:
    """The reminded engrams of a lane as people read them."""
    engrams: Sequence[Mapping[str, Any]] = lane["reminded"]
    columns = ["correlation", "found by", "type", "lifespan", "id"]
    rows = [
        [
            f"{one['correlation']:.4g}",
            one["source"],
            one["type"],
            f"{one['lifespan']:g}",
            str(one["id"]),
        ]
        for one in engrams
    ]
    if any(one["text"] is not None for one in engrams):
        columns.append("text")
        for row, one in zip(rows, engrams, strict=True):
            row.append(" ".join((one["text"] or "").split()))
    count = f"{len(engrams)} reminded" if engrams else "nothing reminded"
    return output.Table(f"lane {lane['lane']}: {count}", columns, rows)


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("remind", epilog=epilog(EXAMPLES))(_remind)
