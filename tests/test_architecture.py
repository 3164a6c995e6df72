"""The shape of the code: imports flow one way, one module prints, no shared generator is drawn."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_LINES = 400

# From the bottom up. A module imports from lines above its own, never from its own or from below.
# A package stands for all of its modules, whose own order follows; * is all of them on one line.
LIBRARY = """
    bounds errors engram_type hashing ranks scores summary vectors
    aside rules checks abstractor traces frames history_files told
    config engrams
    connections
    step_log
    recall history life_log
    core
    core_state known_past
    memoria
    store
    replay backbones exports text row_writers demo_texts
    inputs outputs analysis models
    encode stream_inputs plots
    streams render
    benchmark report experiments
"""
INSIDE = {
    "memoria.connections": """
        regulars
        firing_log hot_kernels
        hot_rows
        dense sparse
    """,
    "memoria.store": """
        attributes buckets reminded sources spec trouble workers
        chunks claims disk
        object_source root zip_source
        array_files locks opening
        staged
        garbage packing
        commit
        files
        schema
        memory_files remote_root
        events
        life shelf snapshots vectors
        answers arguments by_hand digest loading state
        firings histories kept_life past
        engram_life reading
        copying keeping naming
        archive compacting engram_table
        cofire_changes listing remote
        inspection store
        choosing portrait
        comparing verify
    """,
    "memoria.store.verify": """
        findings loose
        rooted tree steps
        content events texts
        digests edges log pending state
        verifying
        repairing
    """,
    "memoria.replay": """
        report sampling steps
        frames
        folding recompute relive
    """,
    "memoria.backbones": """
        base wordhash
        array hashing hf_common registry
        hf_image hf_text st
        hf
    """,
    "memoria.analysis": """
        expiries names palette result
        chronicle
        choices tables
        autocorrelation contiguity lifespans matrix raster reminding sizes survival
        kinds
    """,
    "memoria.plots": """
        scene
        interactive scenes still
        drawing
    """,
    "memoria.render": """
        casting gif video
        staging
        moments
        page pictures
        rendering
    """,
    "memoria.report": """
        chosen packing wiring
        film layout page
        graph pictures summary
        writing
    """,
    "memoria.models": """
        layers segment segment_texts settings
        memory readers
        hosting
        adapter encoder gpt2
        bert roberta
    """,
    "memoria.experiments": """
        batches config_base corpora metric panels records rival_config seeding statistics
        tensorboard tokens variants
        pretrained
        curves folder passages results segment_model
        base reading_config trunk
        engrams recall registry rivals
        reporting running training_config
        engines plan
        parallel sweeps worker
        trainer
        classification farrecall lm sorting
    """,
    "memoria.experiments.classification": """
        config documents
        networks
        task
        experiment
    """,
    "memoria.experiments.farrecall": """
        config
        episodes
        task
        experiment
    """,
    "memoria.experiments.lm": """
        config
        networks
        task
        experiment
    """,
    "memoria.experiments.sorting": """
        config sequences
        task
        experiment
    """,
    "memoria.experiments.rivals": """
        none past unrolled
        building compressive hebbian infinity knn rmt titans xl xl_package
        hebbian_gpt2
    """,
    "memoria.experiments.engrams": """
        drawing findings reading
        experiment
    """,
    "memoria.experiments.reporting": """
        gather
        report
        dots tables
        writing
    """,
    "memoria.experiments.sweeps": """
        on_ray points
        doing sweep
    """,
    "memoria.experiments.recall": """
        memories noise
        measure
        drawing
        experiment
    """,
    "memoria.exports": """
        content xml_text
        gexf graphml jsonl npz parquet
    """,
    "memoria.inputs": """
        files
        raw_arrays
        zarr_files
        array_files texts
        arrays
    """,
    "memoria_cli": """
        interrupts threads wording
        drawing
        backbone_options output scene
        screen
        live
        options
        verbs
        app
        boundary
        __main__
    """,
    "memoria_cli.verbs": "*",
    "memoria_cli.verbs.experiment": """
        given shown
        list_ report run sweep
    """,
}
ORDERS = {"memoria": LIBRARY, **INSIDE}

# Arrows against the order, each with its reason.
EXCEPTIONS = {
    ("memoria_cli.verbs.demo", "memoria_cli.app"): "the tour runs other verbs as a user would",
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
    ("memoria.abstractor", "normal_"),
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
    return {
        other for other in imported(name) if other.partition(".")[0] in ("memoria", "memoria_cli")
    }


def is_package(name: str) -> bool:
    return modules()[name].name == "__init__.py"


def layers(package: str) -> dict[str, int]:
    if ORDERS[package] == "*":
        return dict.fromkeys(children(package), 0)
    lines = ORDERS[package].split("\n")
    return {name: number for number, line in enumerate(lines) for name in line.split()}


def children(package: str) -> set[str]:
    inner = [name for name in modules() if name.startswith(package + ".")]
    return {name.removeprefix(package + ".").partition(".")[0] for name in inner}


def against_the_order(source: str, target: str) -> str | None:
    """Why ``source`` must not import ``target``; None if it may."""
    if source.startswith("memoria.") and target == "memoria":
        return "the library imports its modules, not its face"
    if target.startswith(source + "."):
        return None  # a package's face shows its own modules
    a, b = source.split("."), target.split(".")
    if a[0] != b[0]:
        return None if a[0] == "memoria_cli" else "nobody imports the command line"
    common = 1
    while common < min(len(a), len(b)) and a[common] == b[common]:
        common += 1
    package = ".".join(a[:common])
    if package == target:
        return "a module imports its siblings, not its package"
    order = layers(package)
    if not {a[common], b[common]} <= order.keys():
        return f"{a[common]} or {b[common]} has no place in the table of {package}"
    if order[b[common]] >= order[a[common]]:
        return f"{b[common]} does not lie below {a[common]} in {package}"
    return None


def test_every_module_has_its_place() -> None:
    for package, text in ORDERS.items():
        names = text.split()
        assert len(names) == len(set(names)), package
        assert children(package) == set(layers(package)), "put every module into the table above"
    packages = {name for name in modules() if is_package(name)}
    assert packages == set(ORDERS)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_flow_one_way(name: str) -> None:
    wrong = {target: against_the_order(name, target) for target in ours(name)}
    reasons = {target: reason for target, reason in wrong.items() if reason}
    assert {t: r for t, r in reasons.items() if (name, t) not in EXCEPTIONS} == {}


def test_every_exception_is_still_one() -> None:
    for source, target in EXCEPTIONS:
        assert target in ours(source)
        assert against_the_order(source, target)


def test_the_table_notices_a_wrong_arrow() -> None:
    right = [
        ("memoria.recall", "memoria.config"),
        ("memoria.store.store", "memoria.core"),
        ("memoria.store.life", "memoria.connections.firing_log"),
        ("memoria_cli.verbs.add", "memoria.store"),
        ("memoria_cli.app", "memoria"),
        ("memoria.store", "memoria.store.store"),
    ]
    wrong = [
        ("memoria.errors", "memoria.config"),
        ("memoria.core", "memoria.store.files"),
        ("memoria.store.files", "memoria.store.life"),
        ("memoria.store.chunks", "memoria.store.chunks"),
        ("memoria.config", "memoria.engrams"),
        ("memoria.store.life", "memoria.store"),
        ("memoria.store.life", "memoria_cli.output"),
        ("memoria.engrams", "memoria"),
        ("memoria_cli.verbs.add", "memoria_cli.verbs.step"),
        ("memoria_cli.output", "memoria_cli.app"),
    ]
    assert [arrow for arrow in right if against_the_order(*arrow)] == []
    assert [arrow for arrow in wrong if not against_the_order(*arrow)] == []


@pytest.mark.parametrize("name", sorted(modules()))
def test_click_comes_with_typer(name: str) -> None:
    """Which click Typer brings is its own affair."""
    roots = {other.partition(".")[0] for other in imported(name)}
    assert "click" not in roots
    assert name.startswith("memoria_cli") or roots.isdisjoint({"typer", "rich"})


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


@pytest.mark.parametrize("name", sorted(modules().keys() - {"memoria_cli.output"}))
def test_only_the_output_module_prints(name: str) -> None:
    printing = {
        "print",
        "typer.echo",
        "typer.secho",
        "rich.print",
        "sys.stdout.write",
        "sys.stderr.write",
    }
    found = [(called, node.lineno) for called, node in calls(name) if called in printing]
    assert found == []


@pytest.mark.parametrize("name", sorted(n for n in modules() if n.startswith("memoria.")))
def test_nobody_draws_from_a_shared_generator(name: str) -> None:
    found = []
    for called, node in calls(name):
        root, last = called.partition(".")[0], called.rpartition(".")[2]
        shared = root == "torch" or called.startswith(("np.random.", "numpy.random."))
        given = any(keyword.arg == "generator" for keyword in node.keywords)
        if not given and (last in DRAWS_IN_PLACE or (shared and last in DRAWS)):
            found.append(last)
    assert {last for last in found if (name, last) not in MAY_DRAW} == set()
    roots = {other.partition(".")[0] for other in imported(name)}
    assert "random" not in roots
    assert "secrets" not in roots


@pytest.mark.parametrize("name", sorted(modules()))
def test_modules_stay_small(name: str) -> None:
    lines = modules()[name].read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES, f"{name} has {lines} lines: split it by what it is about"


@pytest.mark.parametrize(
    "statement",
    [
        "import memoria",
        "from memoria import MemoriaConfig, MemoriaError, EngramType",
        "import memoria.store.reading, memoria.store.life, memoria.store.inspection",
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
