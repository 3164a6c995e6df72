"""Where tasks run that need nothing of each other: processes here, or a Ray cluster.

`run_tasks` does them. This room knows nothing of what a task does.
"""

from memoria.engines.running import ENGINES, core_count, run_tasks
from memoria.engines.task import Outcome, Stopping, Task, stoppable

__all__ = ["ENGINES", "Outcome", "Stopping", "Task", "core_count", "run_tasks", "stoppable"]
