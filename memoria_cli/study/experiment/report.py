"""`memoria experiment report`: what the runs of a folder say together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from memoria.errors import ConfigError
from memoria_cli.options import Force, Json, argument, option
from memoria_cli.terminal import output
from memoria_cli.verbs import verb


@verb(
    "report",
    "memoria experiment report depths",
    "memoria experiment report depths -o depths.html --force --json",
    "memoria experiment report depths -o depths.tex --force",
)
def report(
    folder: Annotated[str, argument("DIR", "Runs, or folders of runs, of `run` and `sweep`.")],
    out: Annotated[
        str | None,
        option(
            "--output -o",
            "Write it to FILE.md, FILE.html (one file, with plots), FILE.tex, FILE.csv, FILE.json.",
            "FILE",
            show_default="the terminal",
        ),
    ] = None,
    against: Annotated[
        str | None,
        option(
            "--against",
            "The variant that the others are compared with.",
            "VARIANT",
            show_default="the first",
        ),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        option("--metric", "Only this number that runs end with. Repeatable.", "NAME"),
    ] = None,
    figures: Annotated[
        str | None,
        option(
            "--figures",
            "Figures as png, svg or pdf, beside the file (in it for HTML).",
            "KIND",
            show_default="pdf for .tex, png for .md and .html, else none",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Tell what the runs in a folder say together.

    That is mean and spread over seeds, time and memory, and differences. Variants are compared
    within equal conditions only, over the seeds that both have run: the mean difference, its
    bootstrap interval, the p of the sign-flip test with the least that so few pairs allow, and the
    paper's one-tailed t-test. A setting that runs differ in is drawn against the metrics. Runs that
    failed or have not ended are listed, and count nowhere.
    """
    from memoria.experiments.report import read_report
    from memoria.experiments.report_files import write_report

    report = read_report(Path(folder), against, metrics or [])
    document = {**report.document(), "written": None}
    if out is None and figures is not None:
        raise ConfigError("--figures: goes with a file", "such as -o report.md")
    if out is None:
        output.result(document, _human(report), json)
        return
    for notice in write_report(report, Path(out), force, figures):
        output.note(f"memoria: {notice}")
    document["written"] = out
    runs = sum(len(one.records) for one in report.experiments)
    done = sum(len(one.done) for one in report.experiments)
    output.result(document, [f"{done} of {runs} runs are done; {out} has what they say"], json)


def _human(report: Any) -> list[output.Part]:
    from memoria.experiments.report_files import Heading, Paragraph, Rows, parts

    lines: list[output.Part] = []
    title = ""
    for part in parts(report, {}):
        if isinstance(part, Heading):
            title = part.text
        elif isinstance(part, Paragraph):
            lines.append(part.text)
        elif isinstance(part, Rows):
            lines.append(output.Table(title, part.columns, part.rows))
    return lines
