"""Tasks on a Ray cluster (extra ``sweep``): one that is named, or a local one for the while."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from memoria.engines.processes import package_path
from memoria.engines.task import Outcome, Task, failed
from memoria.errors import ConfigError, MissingExtraError, first_line
from memoria.io.progress import Progress, no_progress

_STORE_BYTES: Final = 100 << 20  # of objects in a local cluster: folders of runs, no more
_Call = tuple[Any, ...]  # the arguments of a task's function
# Called with a task's number, what its function returned, and why it was lost, else None. Returns
# the arguments to call it with once more, or None.
_Receive = Callable[[int, Any, str | None], _Call | None]


@dataclass(frozen=True)
class Resources:
    """What tasks take of a cluster, and which cluster it is.

    Attributes:
        cpus: CPU cores of a task.
        gpus: GPUs of a task; 0.5 shares one between two.
        jobs: workers of a local cluster, where no ``address`` is named.
        address: of the cluster, HOST:PORT.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    jobs: int = 1
    address: str | None = None


class Cluster:
    """A Ray cluster that does calls of one function."""

    def __init__(self, ray: Any, resources: Resources) -> None:
        self._ray, self._resources = ray, resources

    def call(
        self,
        function: Callable[..., Any],
        calls: Mapping[int, _Call],
        receive: _Receive,
        progress: Progress,
        total: int,
    ) -> None:
        """Call ``function`` once with each of ``calls``, as tasks, and ``receive`` what comes.

        ``progress`` counts what is done of ``total``. An interrupt cancels what runs.
        """
        ray, asked = self._ray, self._resources
        task = ray.remote(function).options(num_cpus=asked.cpus, num_gpus=asked.gpus, max_retries=0)
        waiting = {task.remote(*arguments): number for number, arguments in calls.items()}
        try:
            while waiting:
                progress(total - len(waiting), total)
                ended, _ = ray.wait(list(waiting), num_returns=1)
                number = waiting.pop(ended[0])
                if (again := receive(number, *self._result(ended[0]))) is not None:
                    waiting[task.remote(*again)] = number
        except BaseException:
            for reference in waiting:
                ray.cancel(reference)
            with suppress(Exception):  # the time of a checkpoint
                ray.wait(list(waiting), num_returns=len(waiting), timeout=30.0)
            raise
        progress(total, total)

    def _result(self, reference: Any) -> tuple[Any, str | None]:
        try:
            return self._ray.get(reference), None
        except self._ray.exceptions.RayError as lost:
            return None, f"the task was lost: {type(lost).__name__}"


@contextmanager
def ray_cluster(resources: Resources) -> Iterator[Cluster]:
    """The cluster at ``resources.address``, at RAY_ADDRESS, or a local one.

    A local cluster ends with the block. Raises `MissingExtraError`, and `ConfigError` where no
    cluster answers or none of its nodes could ever do a task.
    """
    try:
        import ray
    except ImportError:
        raise MissingExtraError("--engine ray", "sweep") from None
    ours = not ray.is_initialized()
    with redirect_stdout(sys.stderr):  # where Ray prints what it has to say
        if ours:
            _connect(ray, resources)
        try:
            _check_room(ray, resources)
            yield Cluster(ray, resources)
        finally:
            if ours:
                ray.shutdown()


def run_on_ray(cluster: Cluster, tasks: Sequence[Task], progress: Progress) -> list[Outcome]:
    """Do the tasks on nodes that see the working directory under the same path.

    Returns:
        What came of each, in the order of ``tasks``.
    """
    outcomes = [Outcome()] * len(tasks)

    def receive(number: int, outcome: Outcome | None, lost: str | None) -> None:
        outcomes[number] = outcome or Outcome.lost(lost or "the task gave nothing back")

    here = os.getcwd()
    calls = {number: (task, here) for number, task in enumerate(tasks)}
    cluster.call(_perform, calls, receive, progress, len(tasks))
    return outcomes


def _perform(task: Task, folder: str) -> Outcome:
    """Do a task on a node, in the folder where it was asked for."""
    if not Path(folder).is_dir():
        hint = "stores and inputs must be on a file system that every node sees"
        return failed(ConfigError(f"{folder}: node {os.uname().nodename} does not see it", hint))
    os.chdir(folder)
    try:
        return Outcome(task.perform(no_progress, lambda: False))
    except Exception as error:
        return failed(error)


def _connect(ray: Any, resources: Resources) -> None:
    address = resources.address or os.environ.get("RAY_ADDRESS") or None
    if address is None:
        ray.init(
            address="local",
            num_cpus=max(1, resources.jobs),
            include_dashboard=False,
            object_store_memory=_STORE_BYTES,
            log_to_driver=False,
            _node_ip_address="127.0.0.1",
            runtime_env={"env_vars": {"PYTHONPATH": package_path(), "OMP_NUM_THREADS": "1"}},
        )
        return
    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        hint = "name a cluster that runs, or none for a local one"
        raise ConfigError(f"Ray at {address!r}: {first_line(error)}", hint) from None


def _check_room(ray: Any, resources: Resources) -> None:
    """A task that asks for more than any node has would wait for ever."""
    asked = {"CPU": resources.cpus, "GPU": resources.gpus}
    for node in ray.nodes():
        has = node.get("Resources", {})
        if node.get("Alive") and all(has.get(kind, 0) >= count for kind, count in asked.items()):
            return
    wanted = f"cpus = {resources.cpus:g}, gpus = {resources.gpus:g}"
    raise ConfigError(f"{wanted}: no node of the Ray cluster has as much", "ask for less")
