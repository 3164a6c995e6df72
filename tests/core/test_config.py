"""`MemoriaConfig`: bounds, messages, presets, TOML, and staying as it was made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.config import PRESETS, MemoriaConfig, preset_values
from memoria.errors import ConfigError, MemoriaError, UsageError

NAN, INF = float("nan"), float("inf")
BIG = 2**31 - 1
COUNTS = ("num_reminded_stm", "stm_capacity", "ltm_search_depth", "num_final_ltms")

# field: (accepted, [(refused, what the message says of the bound)])
BOUNDS: dict[str, tuple[list[Any], list[tuple[Any, str]]]] = {
    "hidden_dim": ([1, 1_048_576], [(0, "1"), (-3, "1"), (1_048_577, "1048576"), (2.5, "integer")]),
    "lanes": ([1, 65_536], [(0, "1"), (65_537, "65536"), ("two", "integer"), (True, "integer")]),
    **{name: ([0, 7, BIG], [(-1, "0"), (BIG + 1, str(BIG)), (1.0, "integer")]) for name in COUNTS},
    "initial_lifespan": (
        [0.125, 1, 9, 2.0**52],
        [
            (0, "0"),
            (-1.5, "0"),
            (True, "number"),
            (NAN, "finite"),
            (INF, "finite"),
            ("long", "number"),
            (1e17, "450"),
        ],
    ),
    "random_entries": (
        ["unreminded", 0, 5, BIG],
        [(-1, "unreminded"), ("some", "unreminded"), (1.5, "unreminded"), (None, "unreminded")],
    ),
    "tie_break": (["hash", "oldest"], [("newest", "oldest"), (0, "oldest")]),
    "seed": ([0, 2**63 - 1], [(-1, "0"), (2**63, str(2**63 - 1)), ("x", "integer")]),
    "layout": (["dense", "sparse", "auto"], [("csr", "sparse"), (None, "sparse")]),
    "wm_length": ([1, 1_048_576], [(0, "1"), (1_048_577, "1048576"), (3.5, "integer")]),
    "rule": (
        ["uniform:5", "correlation:8", "correlation", "uniform:-0.5"],
        [
            ("fast", "uniform:X"),
            ("uniform", "number"),
            ("uniform:many", "number"),
            ("correlation:nan", "finite"),
            ("uniform:inf", "finite"),
            (8, "string"),
        ],
    ),
    "backbone": (
        ["hash", "hf:bert-base-uncased"],
        [("", "1"), ("x" * 4097, "4096"), (3, "string")],
    ),
    "backbone_options": (
        [{}, {"n": 3, "lower": True, "name": "a"}],
        [("n=3", "dict"), (4, "dict")],
    ),
    "backbone_fingerprint": (["", "a" * 64], [("x" * 129, "128"), (3, "string")]),
    "vector_dtype": (["float32", "float16", "int8"], [("float64", "float16"), (8, "float16")]),
    "capacity": ([None, 1, BIG], [(0, "1"), (-1, "1"), (BIG + 1, str(BIG)), (1.5, "integer")]),
    "lifespan_by": (["constant", "surprise"], [("", "pattern"), ("A", "pattern"), (1, "string")]),
    "unit": (
        ["sentence", "paragraph", "line", "window:1", "window:512"],
        [("word", "sentence"), ("window:0", "window"), ("window:", "window"), ("lines", "line")],
    ),
}


def test_every_field_has_its_bounds_tested() -> None:
    assert set(BOUNDS) == set(MemoriaConfig.model_fields)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, (good, _) in BOUNDS.items() for value in good]
)
def test_values_within_bounds(name: str, value: Any) -> None:
    assert getattr(MemoriaConfig(**{name: value}), name) == value


@pytest.mark.parametrize(
    ("name", "value", "bound"),
    [(name, value, bound) for name, (_, bad) in BOUNDS.items() for value, bound in bad],
    ids=lambda x: str(x)[:24],
)
def test_errors_name_field_value_and_bound(name: str, value: Any, bound: str) -> None:
    with pytest.raises(ConfigError) as caught:
        MemoriaConfig(**{name: value})
    text = str(caught.value)
    assert name in text
    assert repr(value)[:40] in text
    assert bound in text
    assert "\n" not in text
    assert "pydantic" not in text
    assert caught.value.exit_code == 2


def test_every_field_is_described() -> None:
    for name, field in MemoriaConfig.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_several_errors_in_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        MemoriaConfig(lanes=0, stm_capacity=-1)
    assert "lanes = 0" in str(caught.value)
    assert "stm_capacity = -1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_setting_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="stm_capacty") as caught:
        MemoriaConfig(stm_capacty=5)
    assert "no such setting" in str(caught.value)
    assert "stm_capacity" in str(caught.value)
    assert isinstance(caught.value, UsageError)
    assert isinstance(caught.value, ValueError)


def test_frozen() -> None:
    config = MemoriaConfig()
    with pytest.raises(Exception, match="frozen"):
        config.lanes = 3
    assert config.lanes == 1


def test_replace_checks_and_leaves_the_first_alone() -> None:
    config = MemoriaConfig(lanes=2)
    changed = config.replace(lanes=3, seed=1)
    assert (changed.lanes, changed.seed, config.lanes, config.seed) == (3, 1, 2, 0)
    assert changed.replace(lanes=2, seed=0) == config
    with pytest.raises(ConfigError, match="lanes = 0"):
        config.replace(lanes=0)
    with pytest.raises(ConfigError, match="lane_count"):
        config.replace(lane_count=2)


# -- presets --------------------------------------------------------------------------------------

PUBLISHED = {  # the authors' configurations: N_wm, C_stm, N_rem_stm, N_rem_ltm, depth, lifespan, D
    "gpt2": (50, 400, 50, 50, 10, 9, 768),
    "enwik8": (128, 1536, 192, 192, 10, 9, 512),
    "sort": (128, 512, 256, 640, 10, 5, 512),
    "bert": (64, 128, 64, 64, 10, 12, 768),
    "tutorial": (8, 16, 4, 4, 5, 3, 64),
}


def test_the_presets_are_these() -> None:
    assert set(PRESETS) == {"keep", *PUBLISHED}


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_hold_the_published_values(name: str) -> None:
    config = MemoriaConfig.preset(name)
    assert (
        config.wm_length,
        config.stm_capacity,
        config.num_reminded_stm,
        config.num_final_ltms,
        config.ltm_search_depth,
        config.initial_lifespan,
        config.hidden_dim,
    ) == PUBLISHED[name]
    assert config.rule == ("uniform:5" if name == "tutorial" else "correlation:8")
    assert config.lanes == (2 if name == "tutorial" else 1)
    assert config.random_entries == "unreminded"  # the released behaviour is the default
    assert config.tie_break == "hash"


def test_preset_with_changes() -> None:
    config = MemoriaConfig.preset("gpt2", lanes=4, stm_capacity=10)
    assert (config.lanes, config.stm_capacity, config.hidden_dim) == (4, 10, 768)
    assert MemoriaConfig.preset("gpt2").stm_capacity == 400


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="gpt3") as caught:
        MemoriaConfig.preset("gpt3")
    for name in PUBLISHED:
        assert name in str(caught.value)


def test_preset_values_are_a_copy() -> None:
    preset_values("gpt2")["lanes"] = 99
    assert MemoriaConfig.preset("gpt2").lanes == 1


# -- TOML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_presets_survive_toml(name: str, tmp_path: Path) -> None:
    config = MemoriaConfig.preset(name)
    path = tmp_path / "memory.toml"
    text = config.to_toml(path)
    assert path.read_text(encoding="utf-8") == text
    assert MemoriaConfig.from_toml(path) == config
    assert MemoriaConfig.from_toml(str(path)) == config


_configs = st.builds(
    MemoriaConfig,
    hidden_dim=st.integers(1, 4096),
    lanes=st.integers(1, 64),
    stm_capacity=st.integers(0, BIG),
    initial_lifespan=st.floats(1e-9, 2.0**52),
    random_entries=st.just("unreminded") | st.integers(0, BIG),
    tie_break=st.sampled_from(["hash", "oldest"]),
    seed=st.integers(0, 2**63 - 1),
    layout=st.sampled_from(["dense", "sparse", "auto"]),
    rule=st.sampled_from(["uniform:5", "correlation", "correlation:0.25"]),
    backbone=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    backbone_options=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(-1e30, 1e30)
        | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
        max_size=4,
    ),
)


@settings(max_examples=80, deadline=None)
@given(_configs)
def test_any_configuration_survives_toml(config: MemoriaConfig) -> None:
    import tomllib

    again = MemoriaConfig.from_values(tomllib.loads(config.to_toml()))
    assert again == config
    for name, value in config.backbone_options.items():
        assert type(again.backbone_options[name]) is type(value)


def test_toml_may_start_from_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "sort"\nlanes = 3\nrandom_entries = 0\n', encoding="utf-8")
    config = MemoriaConfig.from_toml(path, seed=8)
    expected = MemoriaConfig.preset("sort", lanes=3, random_entries=0, seed=8)
    assert config == expected
    assert MemoriaConfig.from_toml(path, lanes=5).lanes == 5  # what is said last counts


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"lanes = ", "TOML"),
        (b"lanes = 0\n", "lanes = 0"),
        (b"lane = 1\n", "lane"),
        (b'preset = "huge"\n', "huge"),
        (b"\xff\xfe\x00", "TOML"),
        (b"[memory]\nlanes = 2\n", "memory"),
        (b"initial_lifespan = nan\n", "initial_lifespan"),
    ],
)
def test_bad_toml_is_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        MemoriaConfig.from_toml(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_or_unreadable_toml(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError) as caught:
            MemoriaConfig.from_toml(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_toml_that_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path / "none" / "x.toml", tmp_path):
        with pytest.raises(MemoriaError) as caught:
            MemoriaConfig().to_toml(path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"a": NAN}, "finite"), ({"a": None}, "None"), ({"a": {"b": 1}}, "b"), ({3: 1}, "3")],
    ids=str,
)
def test_backbone_options_that_no_file_can_hold(options: dict[Any, Any], says: str) -> None:
    with pytest.raises(ConfigError, match="backbone_options") as caught:
        MemoriaConfig(backbone_options=options)
    assert says in str(caught.value)


def test_reading_a_configuration_loads_no_tensor_library() -> None:
    code = (
        "import sys; from memoria import MemoriaConfig; MemoriaConfig.preset('gpt2'); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'zarr')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
