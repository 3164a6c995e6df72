"""Make the notebooks from the scripts: ``python examples/make_notebooks.py [NAME ...]``.

Each cell ``# %%`` of a script becomes a cell with its title above, and is run, so that a notebook
shows what came out. Needs no Jupyter. ``--check`` says which are not those of the scripts.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = ("book", "model_memory", "free_recall")


def cells_of(script: str) -> Iterator[tuple[str, str]]:
    """(title, code) of each cell; the first is the docstring, without code."""
    about = ast.get_docstring(ast.parse(script)) or ""
    yield about, ""
    for part in re.split(r"^# %% ", script, flags=re.M)[1:]:
        title, _, code = part.partition("\n")
        yield title, code.strip("\n")


def notebook_of(script: str, outputs: Sequence[list[dict[str, Any]]] = ()) -> dict[str, Any]:
    """The notebook of a script in nbformat 4.5, with the outputs of its code cells."""
    cells: list[dict[str, Any]] = []
    done = 0
    for number, (title, code) in enumerate(cells_of(script)):
        words = title if number == 0 else f"## {title}"
        heading, _, rest = words.partition("\n")
        text = f"# {heading}\n{rest}" if number == 0 else words
        cells.append(_cell(f"text-{number}", "markdown", text))
        if code:
            cell = _cell(f"code-{number}", "code", code)
            told = list(outputs[done]) if done < len(outputs) else []
            done += 1
            for one in told:
                if one["output_type"] == "execute_result":
                    one["execution_count"] = done
            cell |= {"execution_count": done if outputs else None, "outputs": told}
            cells.append(cell)
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(id_: str, kind: str, source: str) -> dict[str, Any]:
    return {"cell_type": kind, "id": id_, "metadata": {}, "source": source.splitlines(True)}


def run(script: str, folder: Path) -> list[list[dict[str, Any]]]:
    """What each code cell of a script prints, and how its last value shows itself."""
    names: dict[str, Any] = {"__name__": "__main__"}
    before, sys.argv = sys.argv, ["notebook", str(folder)]
    try:
        return [_run(code, names, str(folder)) for _, code in cells_of(script) if code]
    finally:
        sys.argv = before


def _run(code: str, names: dict[str, Any], folder: str) -> list[dict[str, Any]]:
    tree = ast.parse(code)
    last = tree.body[-1]
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        if isinstance(last, ast.Expr):
            exec(compile(ast.Module(tree.body[:-1], []), "cell", "exec"), names)
            value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        else:
            exec(compile(tree, "cell", "exec"), names)
    text = printed.getvalue().replace(folder, "FOLDER")
    made: list[dict[str, Any]] = []
    if text:
        stream = {"output_type": "stream", "name": "stdout", "text": text.splitlines(True)}
        made.append(stream)
    if value is not None:
        data = {"text/plain": repr(value).replace(folder, "FOLDER").splitlines(True)}
        for kind, name in (("text/html", "_repr_html_"), ("image/png", "_repr_png_")):
            shown = getattr(value, name, lambda: None)()
            if isinstance(shown, bytes):
                data[kind] = [base64.b64encode(_smaller(shown)).decode("ascii")]
            elif shown:
                data[kind] = shown.replace(folder, "FOLDER").splitlines(True)
        made.append({"output_type": "execute_result", "data": data, "metadata": {}})
    return made


def _smaller(png: bytes) -> bytes:
    """The picture in 128 colours, at most 1,000 pixels wide: a notebook is kept in a repository."""
    from PIL import Image

    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.thumbnail((1000, 1000))
    made = io.BytesIO()
    picture.quantize(128).save(made, "png", optimize=True)
    return made.getvalue()


def sources(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    """Kind and source of every cell."""
    return [(one["cell_type"], "".join(one["source"])) for one in notebook["cells"]]


def stale() -> list[str]:
    """The notebooks that are not those of their scripts."""
    found = []
    for name in NAMES:
        path = HERE / f"{name}.ipynb"
        wanted = notebook_of((HERE / f"{name}.py").read_text(encoding="utf-8"))
        there = path.is_file() and json.loads(path.read_text(encoding="utf-8"))
        if not there or sources(there) != sources(wanted):
            found.append(path.name)
    return found


def main(words: Sequence[str]) -> int:
    if "--check" in words:
        print(*(stale() or ["all notebooks are those of their scripts"]), sep="\n")
        return 1 if stale() else 0
    for name in words or NAMES:
        script = (HERE / f"{name}.py").read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            made = notebook_of(script, run(script, Path(folder)))
        text = json.dumps(made, indent=1, ensure_ascii=False) + "\n"
        (HERE / f"{name}.ipynb").write_text(text, encoding="utf-8")
        print(f"{name}.ipynb")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
