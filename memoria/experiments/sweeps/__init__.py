"""Many settings of one experiment: a grid, or draws, each with every variant and seed.

``read_sweep(path)`` gives a `Sweep`; its `Sweep.specs` are runs for an engine, `sweep_runs` does
them, on processes here or as tasks of a Ray cluster, and tries failed ones again.
"""

from memoria.experiments.sweeps.progress import ENGINES, sweep_runs
from memoria.experiments.sweeps.sweep import Sweep, read_sweep

__all__ = ["ENGINES", "Sweep", "read_sweep", "sweep_runs"]
