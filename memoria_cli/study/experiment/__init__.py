"""`memoria experiment`: the paper's experiments, and one's own."""

from __future__ import annotations

from memoria_cli.study.experiment.list_ import list_
from memoria_cli.study.experiment.report import report
from memoria_cli.study.experiment.running import run, sweep
from memoria_cli.verbs import group

experiment = group(
    "experiment",
    "Run the paper's experiments and your own.",
    (
        "memoria experiment list",
        "memoria experiment run sorting --set length=128 --set steps=5 --set models=none --seeds 1",
    ),
    list_,
    run,
    sweep,
    report,
)
