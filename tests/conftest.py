"""Settings of every test: one thread each (the runner starts one worker a core), no network."""

from __future__ import annotations

import gc
import math
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_tools import Cli
from hypothesis import HealthCheck, settings
from s3_server import serving

from memoria_cli.terminal import output

# A shell ignores SIGINT in what it starts in the background, and so would all that tests interrupt.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MEMORIA_CONFIG"] = ""  # no file of the user who runs the tests
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
# Caches of other libraries stay out of the home folder, and are kept for the next run.
_CACHES = Path(tempfile.gettempdir()) / f"memoria-tests-{os.getuid()}"
os.environ["MPLCONFIGDIR"] = str(_CACHES / "matplotlib")
os.environ["HF_HOME"] = str(_CACHES / "huggingface")

# A busy machine is slow to draw examples, too; pytest's own timeout stops what hangs.
settings.register_profile("memoria", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("memoria")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What lies beside this file runs whole programs: first, so that nothing long ends last."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


def pytest_collection_finish() -> None:
    """What is imported and collected stays: no collection of garbage looks at it again."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def no_lines_of_progress() -> Iterator[None]:
    """Commands run in this process say what they always say, on a machine however slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(output, "_SPARSE_SECONDS", math.inf)
        yield


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: for tests that write much and need no real disk."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="memoria-test-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs command lines in an empty folder, for a page of 200 columns."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Cli(capsys)


@pytest.fixture(scope="session")
def s3() -> Iterator[dict[str, str]]:
    """The environment in which ``s3://memories`` is an empty bucket of a real server."""
    with serving("memories") as variables:
        yield variables
