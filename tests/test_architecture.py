"""The shape of the house: imports go one way, one room prints, no shared generator is drawn."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up. A room imports from rooms on lines above its own, never from its own line or
# from below; inside a room, modules import each other without a circle.
HOUSE = """
    memoria.errors memoria.distributions
    memoria.io
    memoria.engines memoria.timeline
    memoria.config
    memoria.backbones
    memoria.search
    memoria.core
    memoria.compat
    memoria.chunkstore
    memoria.store
    memoria.query
    memoria.models memoria.analysis
    memoria.plots memoria.animation memoria.exports
    memoria.report
    memoria.serving memoria.adapters memoria.imports
    memoria.experiments
    memoria.abstractor memoria.engram memoria.history_manager memoria.memoria \
    memoria.sparse_tensor memoria.types memoria.utils
    memoria
    memoria_cli.help_page memoria_cli.suggestions memoria_cli.user_settings
    memoria_cli.terminal
    memoria_cli.general
    memoria_cli.options memoria_cli.stores memoria_cli.verbs memoria_cli.plain_values
    memoria_cli.keep memoria_cli.ask memoria_cli.look memoria_cli.undo \
    memoria_cli.move memoria_cli.check
    memoria_cli.study memoria_cli.serve memoria_cli.completion memoria_cli.documents
    memoria_cli.app
    memoria_cli.boundary memoria_cli.manual
    memoria_cli.__main__
"""
FLOORS = {room: floor for floor, line in enumerate(HOUSE.split("\n")) for room in line.split()}

# Arrows against the order, each with its reason.
EXCEPTIONS = {
    ("memoria_cli.study.demo", "memoria_cli.app"): "the tour runs other verbs as a user would",
}

# What torch and numpy draw from a generator that everybody shares.
DRAWS = set(
    "rand randn randint randperm rand_like randn_like randint_like normal bernoulli multinomial "
    "poisson manual_seed seed initial_seed set_rng_state get_rng_state default_generator".split()
)
DRAWS_IN_PLACE = set(
    "uniform_ normal_ random_ bernoulli_ exponential_ geometric_ cauchy_ log_normal_".split()
)

# Places that may draw: initial weights, which a user seeds as in any torch module, and the seeding.
MAY_DRAW = {
    ("memoria.core.abstractor", "normal_"),
    ("memoria.models.hosting", "normal_"),
    ("memoria.experiments.seeding", "manual_seed"),
    ("memoria.experiments.seeding", "get_rng_state"),
    ("memoria.experiments.seeding", "set_rng_state"),
}


@cache
def modules() -> dict[str, Path]:
    found = {}
    for package in ("memoria", "memoria_cli"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


@cache
def parsed(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text(encoding="utf-8"))


def imported(name: str) -> set[str]:
    """Every module that ``name`` imports, ours and others', inside functions and for types too."""
    found = set()
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            assert node.module is not None
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules() else node.module)
    return found


def ours(name: str) -> set[str]:
    """Modules of ours that ``name`` imports."""
    return {
        other for other in imported(name) if other.partition(".")[0] in ("memoria", "memoria_cli")
    }


def room(name: str) -> str:
    """The room of a module: ``memoria.store`` of ``memoria.store.verify.tree``."""
    return ".".join(name.split(".")[:2])


def against_the_order(source: str, target: str) -> bool:
    """Whether ``source`` must not import ``target``."""
    here, there = room(source), room(target)
    return here != there and FLOORS[there] >= FLOORS[here]


def test_every_room_has_its_floor() -> None:
    assert {room(name) for name in modules()} - {"memoria_cli"} == set(FLOORS)


def test_imports_go_one_way() -> None:
    wrong = {
        (name, other)
        for name in modules()
        for other in ours(name)
        if other != "memoria_cli" and against_the_order(name, other)
    }
    assert wrong == set(EXCEPTIONS)


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {
        name: {other for other in ours(name) if (name, other) not in EXCEPTIONS}
        for name in modules()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_wrong_arrow_is_noticed() -> None:
    right = [("memoria.core.recall", "memoria.config"), ("memoria_cli.keep.add", "memoria.store")]
    wrong = [
        ("memoria.errors", "memoria.config"),
        ("memoria.core.state", "memoria.store.files"),
        ("memoria.store.store", "memoria.query.listing"),
        ("memoria.core.engrams", "memoria"),
        ("memoria.store.store", "memoria_cli.terminal.output"),
        ("memoria_cli.keep.add", "memoria_cli.look.list"),
    ]
    assert not any(against_the_order(*arrow) for arrow in right)
    assert all(against_the_order(*arrow) for arrow in wrong)


def defined(path: Path) -> set[str]:
    """Names that a module defines: functions, classes and ``Class.method``."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{inner.name}"
                for inner in node.body
                if isinstance(inner, ast.FunctionDef)
            }
    return found


def test_the_architecture_page_names_what_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:memoria|memoria_cli|tests|stores)/[\w./]+)(?:::([\w.]+))?`", page)
    assert len(named) > 50
    for path, name in named:
        assert (ROOT / path).exists(), path
        assert not name or name in defined(ROOT / path), f"{path}::{name}"
    picture = page.split("```")[1]
    for house in FLOORS:
        last = house.rpartition(".")[2]
        assert re.search(rf"(?<!\w){last}(?!\w)", picture), f"the picture lacks {house}"


def calls(name: str) -> Iterator[tuple[str, ast.Call]]:
    """Every call in the module, by its dotted name: ``torch.rand``, ``.uniform_``, ``print``."""
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Call):
            function, parts = node.func, []
            while isinstance(function, ast.Attribute):
                parts.append(function.attr)
                function = function.value
            parts.append(function.id if isinstance(function, ast.Name) else "")
            yield ".".join(reversed(parts)), node


def test_only_the_terminal_prints() -> None:
    printing = {
        "print",
        "typer.echo",
        "typer.secho",
        "rich.print",
        "sys.stdout.write",
        "sys.stderr.write",
    }
    found = [
        (name, called, node.lineno)
        for name in modules()
        if room(name) != "memoria_cli.terminal"
        for called, node in calls(name)
        if called in printing
    ]
    assert found == []


def shared_draws(name: str) -> set[str]:
    """What a module draws from a generator that everybody shares."""
    found = set()
    for called, node in calls(name):
        root, last = called.partition(".")[0], called.rpartition(".")[2]
        shared = root == "torch" or called.startswith(("np.random.", "numpy.random."))
        given = any(keyword.arg == "generator" for keyword in node.keywords)
        if not given and (last in DRAWS_IN_PLACE or (shared and last in DRAWS)):
            found.add(last)
    return found


def test_nobody_draws_from_a_shared_generator() -> None:
    library = [name for name in modules() if name.startswith("memoria.")]
    drawn = {(name, last) for name in library for last in shared_draws(name)}
    assert drawn == MAY_DRAW
    for name in library:
        roots = {other.partition(".")[0] for other in imported(name)}
        assert roots.isdisjoint({"random", "secrets"}), name


def test_typer_and_rich_stay_in_the_command_line_and_click_is_typers_own() -> None:
    for name in modules():
        roots = {other.partition(".")[0] for other in imported(name)}
        assert "click" not in roots, name
        assert name.startswith("memoria_cli") or roots.isdisjoint({"typer", "rich"}), name


@pytest.mark.parametrize(
    "statement",
    [
        "import memoria",
        "from memoria import MemoriaConfig, MemoriaError, EngramType",
        "import memoria.store.reading, memoria.store.life, memoria.query.inspection",
        "import memoria_cli.__main__",
    ],
)
def test_what_must_start_fast_loads_nothing_heavy(statement: str) -> None:
    heavy = ("torch", "zarr", "transformers", "PIL", "matplotlib", "safetensors", "numcodecs")
    code = f"import sys; {statement}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "[]\n", done.stderr
