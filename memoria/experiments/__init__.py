"""The paper's experiments, and rivals in the same harness.

`EXPERIMENTS` has them by name. ``make_plan(name).specs(folder)`` gives the runs, `execute` does one
of them, `local` many in processes. Nothing here loads torch before a run begins.
"""

from memoria.experiments.config import (
    ExperimentConfig,
    ModelNames,
    parse_seeds,
    parse_settings,
)
from memoria.experiments.engines import RunSpec, execute, inside, local
from memoria.experiments.experiment import EXPERIMENTS, Experiment, Metric, find_experiment
from memoria.experiments.plan import Plan, make_plan, read_plan
from memoria.experiments.records import RunRecord, run_folders
from memoria.experiments.run import Run
from memoria.experiments.statistics import compare

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "ExperimentConfig",
    "Metric",
    "ModelNames",
    "Plan",
    "Run",
    "RunRecord",
    "RunSpec",
    "compare",
    "execute",
    "find_experiment",
    "inside",
    "local",
    "make_plan",
    "parse_seeds",
    "parse_settings",
    "read_plan",
    "run_folders",
]
