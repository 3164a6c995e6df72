"""The paper's experiments, and rivals in the same harness.

`EXPERIMENTS` has them by name. ``make_plan(name).specs(folder)`` gives the runs, `execute` does one
of them, `local` many in processes. Nothing here loads torch before a run begins.
"""

from memoria.experiments.base import Experiment
from memoria.experiments.config_base import (
    ExperimentConfig,
    ModelNames,
    parse_seeds,
    parse_settings,
)
from memoria.experiments.engines import inside, local
from memoria.experiments.folder import Run
from memoria.experiments.metric import Metric
from memoria.experiments.plan import Plan, make_plan, read_plan
from memoria.experiments.records import RunRecord, run_folders
from memoria.experiments.registry import EXPERIMENTS, find_experiment
from memoria.experiments.results import compare
from memoria.experiments.running import RunSpec, execute

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
