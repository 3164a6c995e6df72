"""The tables of a report for papers and for programs: LaTeX, and comma-separated values."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from memoria.experiments.report import ExperimentReport, Report

_COLUMNS: Final = (
    "experiment",
    "variant",
    "metric",
    "better",
    "runs",
    "mean",
    "sd",
    "low",
    "high",
    "guessing",
    "seconds",
    "peak_bytes",
    "parameters",
    "inner",
    "against",
    "pairs",
    "difference",
    "difference_low",
    "difference_high",
    "higher",
    "p",
    "t_p",
    "welch_p",
)
_SIGNS: Final = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
    '"': r"\textquotedbl{}",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}
_SPECIAL: Final = re.compile("[" + re.escape("".join(_SIGNS)) + "]")


def as_csv(report: Report) -> str:
    """A row for each metric of each variant, with its comparison to the first where there is one.

    ``low`` and ``high`` are the ends of bootstrap intervals; ``difference`` is ``against`` minus
    the variant. What is not known is empty.
    """
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for one in report.experiments:
        writer.writerows(_rows(one))
    return out.getvalue()


def _rows(one: ExperimentReport) -> Iterable[dict[str, Any]]:
    compared = {(row["variant"], row["metric"]): row for row in one.comparisons}
    for row in one.variants:
        for number, metric in enumerate(one.metrics):
            found = row["metrics"][metric.name]
            low, high = found["interval"] or (None, None)
            told = compared.get((row["variant"], metric.name), {})
            ends = told.get("interval") or (None, None)
            references = {} if number else one.references.get(row["variant"], {})
            known = {
                "experiment": one.name,
                "variant": row["variant"],
                "metric": metric.name,
                "better": metric.better,
                "runs": found["runs"],
                "mean": found["mean"],
                "sd": found["sd"],
                "low": low,
                "high": high,
                "guessing": references.get("guessing"),
                "seconds": row["seconds"],
                "peak_bytes": row["peak_bytes"],
                "difference_low": ends[0],
                "difference_high": ends[1],
                **{key: (row["network"] or {}).get(key) for key in ("parameters", "inner")},
            }
            yield {name: known.get(name, told.get(name)) for name in _COLUMNS}


def latex_table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """A floating table in the style of the package booktabs."""
    cells = [" & ".join(map(latex, row)) + r" \\" for row in (columns, *rows)]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex(caption)}}}",
            rf"\begin{{tabular}}{{{'l' * len(columns)}}}",
            r"\toprule",
            cells[0],
            r"\midrule",
            *cells[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def latex_figure(path: Path, caption: str) -> str:
    """A figure of the width of the text; ``path`` lies beside the document."""
    return "\n".join(
        [
            r"\begin{figure}",
            r"\centering",
            rf"\includegraphics[width=\textwidth]{{{path.name}}}",
            rf"\caption{{{latex(caption)}}}",
            r"\end{figure}",
        ]
    )


def latex(text: str) -> str:
    """Text on one line that LaTeX shows as it is; control characters are left out."""
    flat = "".join(one for one in " ".join(text.split()) if one.isprintable())
    return _SPECIAL.sub(lambda found: _SIGNS[found[0]], flat)
