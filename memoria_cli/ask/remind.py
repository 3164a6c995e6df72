"""`memoria remind`: what the working memory, or a cue, brings back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any

from memoria.errors import UsageError
from memoria.timeline.lifespan import PLAINLY_ENDLESS
from memoria_cli.options import (
    ROWS,
    BatchSize,
    Device,
    Force,
    Json,
    Unit,
    bound,
    limit,
    option,
    speed_options,
)
from memoria_cli.stores import StoreAt, load_memory_store, require_present, split_store
from memoria_cli.terminal import output
from memoria_cli.verbs import verb


@verb(
    "remind",
    "memoria remind notes",
    'memoria remind notes --cue-text "The cat sat by the window." --top 3',
    "memoria remind vectors --json -o reminded.npz",
)
def remind(
    store: StoreAt,
    peek: Annotated[bool, option("--peek", "Change nothing: nothing fires.")] = False,
    cue: Annotated[
        list[str] | None,
        option(
            "--cue",
            "Peek with this input instead of the working memory: one for all lanes, or one for "
            "each.",
            "INPUT",
        ),
    ] = None,
    cue_text: Annotated[
        list[str] | None, option("--cue-text", "The same, with the text itself.", "TEXT")
    ] = None,
    unit: Unit = None,
    top: Annotated[
        int | None,
        limit(
            "The most correlated of each lane",
            "--limit --top -n",
            show_default=f"{ROWS} for people",
        ),
    ] = None,
    out: Annotated[
        str | None,
        option(
            "--output -o",
            "Write ids, indices, memories, correlation and its logarithm to this file too.",
            "FILE.npz",
        ),
    ] = None,
    force: Force = False,
    batch_size: BatchSize = None,
    device: Device = None,
    json: Json = False,
) -> None:
    """Remind with the working memory: the second part of a step.

    Everything that is reminded fires with it. Asked again before `memoria adjust`, it repeats its
    answer. With --peek it changes nothing, and may be given the past: STORE@NAME as a snapshot left
    it, STORE@STEP as a step. A cue of its own implies --peek. This is what a model is given while
    it reads, by likeness and along connections; to find what answers a question use `memoria ask`.
    """
    from memoria.store.reading import open_files

    peek = peek or bool(cue or cue_text)
    path, at = split_store(store) if peek else (require_present(store), None)
    with closing(open_files(path, at, "r" if peek else "r+")) as files:
        if out is not None:
            if not out.lower().endswith(".npz"):
                raise UsageError(f"-o {out}: must be an .npz file")
            from memoria.io.outputs import check_output

            check_output(out, force)
        data = None
        if cue or cue_text:
            from memoria.backbones.streams import InputStream

            speed = speed_options(files.config.backbone, batch_size, device)
            stream = InputStream(
                files.config,
                cue or (),
                texts=cue_text or (),
                unit=unit,
                place=files.attributes.settings.backbone,
                **speed,
            )
            data = stream.single(as_cue=True).data
        with load_memory_store(files, None if peek else "remind") as opened:
            reminded = opened.peek(data) if peek else opened.remind()
            document: dict[str, Any] = {"step": opened.timestep, "lanes": reminded.records()}
    if out is not None:
        from memoria.io.outputs import save_arrays

        names = ("ids", "indices", "memories", "correlation", "log_correlation")
        save_arrays(out, {name: getattr(reminded, name) for name in names}, force)
    human = [_table(lane, bound(top, ROWS)) for lane in document["lanes"]]
    if top is not None:
        for lane in document["lanes"]:
            lane["reminded"] = _best(lane["reminded"], bound(top))
    output.result(document, human, json)


def _best(reminded: Sequence[Mapping[str, Any]], most: int | None) -> list[Mapping[str, Any]]:
    """The ``most`` correlated, the best first."""
    return sorted(reminded, key=lambda one: -one["log_correlation"])[:most]


def _table(lane: Mapping[str, Any], most: int | None) -> output.Table:
    engrams = _best(lane["reminded"], most)
    columns: dict[str, output.Column] = {
        "log correlation": lambda one: f"{one['log_correlation']:.4g}",
        "found by": "memory",
        "type": "type",
        "lifespan": lambda one: (
            "no end" if one["lifespan"] > PLAINLY_ENDLESS else f"{one['lifespan']:g}"
        ),
        "id": "id",
    }
    if any(one["text"] is not None for one in engrams):
        columns["text"] = lambda one: " ".join((one["text"] or "").split())
    count = f"{len(lane['reminded'])} reminded" if engrams else "nothing reminded"
    if len(engrams) < len(lane["reminded"]):
        count += f", the best {len(engrams)}"
    return output.table(f"lane {lane['lane']}: {count}", engrams, columns, none="")
