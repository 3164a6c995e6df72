"""Input files from strangers: none runs code, takes the machine's memory, or hangs."""

from __future__ import annotations

import io
import json
import os
import random
import warnings
from pathlib import Path
from typing import Any

import pytest
from cli_tools import Cli
from fuzzing import guarded
from fuzzing.input_files import BOMBS, PWNED, Trap, png
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.config import MemoriaConfig
from memoria.errors import BackboneError, ConfigError, InputError
from memoria.io import texts
from memoria.io.bounds import open_regular, parse_json
from memoria.io.forms import source
from memoria.io.inputs import read_inputs
from memoria.io.read_options import ReadOptions
from memoria.io.texts import read_texts


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_bomb() -> None:
    found = guarded.run("bombs", seed=0, cases=len(BOMBS), seconds=240)
    assert found["problems"] == []
    assert found["calls"] > 3 * len(BOMBS)


@pytest.mark.slow
def test_every_bomb_through_every_verb() -> None:
    assert guarded.run("bombs", 1, 10 * len(BOMBS), 1200)["problems"] == []


def test_some_changed_inputs() -> None:
    guarded.check("inputs", seed=20260101, cases=60, seconds=60)


@pytest.mark.slow
def test_many_changed_inputs() -> None:
    seconds = float(os.environ.get("MEMORIA_FUZZ_SECONDS", "240"))
    seed = int(os.environ.get("MEMORIA_FUZZ_SEED", str(random.SystemRandom().randrange(10**9))))
    guarded.check("inputs", seed=seed, cases=10**6, seconds=seconds)


def test_the_trap_is_one(here: Path) -> None:
    """What loads pickles runs it: else no test above could find anything."""
    import pickle

    pickle.loads(pickle.dumps(Trap()))
    assert (here / PWNED).exists()


# -- text ------------------------------------------------------------------------------------------

PARAGRAPHS = st.lists(
    st.text("ab .é\U0001f600", min_size=1, max_size=30).filter(lambda text: text.strip(" .")),
    min_size=1,
    max_size=20,
)


@given(
    paragraphs=PARAGRAPHS,
    unit=st.sampled_from(["sentence", "paragraph", "line"]),
    end=st.sampled_from("\n\r"),
)
@settings(max_examples=80, deadline=None)
def test_a_text_in_parts_has_the_same_units(
    paragraphs: list[str], unit: str, end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("text") / "a.txt"
    newline = "\r\n" if end == "\r" else "\n"
    place.write_bytes((newline * 2).join(paragraphs).encode())
    whole = list(read_texts(place, unit))
    longest = max(len(one.encode()) for one in paragraphs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "PART", 2 * longest + 16)
        assert list(read_texts(place, unit)) == whole


@given(
    st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=300), st.integers(8, 40)
)
@settings(max_examples=80, deadline=None)
def test_parts_lose_nothing_and_count_characters(text: str, part: int) -> None:
    data = text.encode("utf-8", "ignore")
    wanted = data.decode().removeprefix("\ufeff")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "PART", part)
        opened = lambda: io.BytesIO(data)  # noqa: E731
        read = source.TextSource("s", "", "s", opened, ReadOptions())
        parts = list(source.parts(read))
    assert "".join(text for text, _ in parts) == wanted
    assert all(wanted[offset:].startswith(text) for text, offset in parts)


def test_a_torn_character_in_a_later_part(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "a.txt").write_bytes(b"some words\n\n" * 8 + b"\xff")
    monkeypatch.setattr(source, "PART", 40)
    with pytest.raises(InputError, match="byte 96 is invalid"):
        list(read_texts("a.txt"))


def test_standard_input_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "STANDARD_INPUT", 3 << 20)
    with open("/dev/zero", "rb") as endless, pytest.raises(InputError, match="more than 3 MiB"):
        read_texts("-", stdin=endless)


def test_numbers_that_are_no_json_do_no_harm(here: Path) -> None:
    (here / "a.jsonl").write_text('{"text": "A cat.", "score": NaN}\n')
    assert [unit.text for unit in read_texts("a.jsonl")] == ["A cat."]


# -- settings, pictures, models --------------------------------------------------------------------

TOML = {
    "deep": "a = " + "[" * 100_000,
    "deep tables": "a." * 5_000 + "b = 1",
    "digits": "seed = " + "9" * 5000,
    "long": "# " + "x" * 300_000,
    "types": "hidden_dim = [1]\nseed = 1979-05-27\nrule = {a = 1}",
    "unknown": '"\\u001b[31m" = 5',
    "infinite": "initial_lifespan = inf",
    "not text": "\ud800",
    "nothing": "\0",
}


@pytest.mark.parametrize("name", TOML)
def test_settings_from_strangers(here: Path, name: str) -> None:
    (here / "a.toml").write_bytes(TOML[name].encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError) as caught:
        MemoriaConfig.from_toml("a.toml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["/dev/zero", "fifo", ".", "a\0b", "none.toml"])
def test_settings_from_strange_places(here: Path, capsys: Any, place: str) -> None:
    os.mkfifo("fifo")
    ran = Cli(capsys)("init", "new", "--config", place)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert not (here / "new").exists()


def test_pictures(here: Path) -> None:
    pytest.importorskip("PIL.Image")
    from memoria.backbones.hf_image import HfImageBackbone

    backbone = HfImageBackbone.__new__(HfImageBackbone)
    backbone.name = "hf:x"
    (here / "large.png").write_bytes(png(60_000, 60_000))
    (here / "script.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    )
    (here / "fine.png").write_bytes(png(64, 64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("large.png", "script.png"):
            with pytest.raises(InputError, match=name):
                backbone._opened(here / name)
        assert backbone._opened(here / "fine.png").size == (64, 64)


def test_a_model_with_code_of_its_own(here: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from memoria.backbones import load_backbone

    folder = here / "model"
    folder.mkdir()
    (folder / "evil.py").write_text(f"open({PWNED!r}, 'w')\nclass Evil: pass\n")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Evil"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(BackboneError, match="code of its own"):
        load_backbone("st:./model", None)
    assert not list(here.rglob(PWNED))


# -- the bounds ------------------------------------------------------------------------------------


def test_json_is_bounded_before_it_is_parsed() -> None:
    assert parse_json(b'{"a": [1, 2.5, null]}') == {"a": [1, 2.5, None]}
    for text in ("[" * 10**5, "NaN", "[1e", "9" * 5000, ""):
        with pytest.raises(ValueError, match=r".+"):
            parse_json(text)
    with pytest.raises(ValueError, match="more than 5 values"):
        parse_json("[[],[],[],[]]", 5)
    assert parse_json("NaN", strict=False) != 0


def test_only_regular_files_are_opened(here: Path) -> None:
    os.mkfifo("fifo")
    (here / "file").write_text("x")
    os.close(open_regular("file"))
    for place in ("fifo", "/dev/zero", "/dev/null"):
        with pytest.raises(ValueError, match="not a regular file"):
            open_regular(place)
    with pytest.raises(IsADirectoryError):
        open_regular(".")


def test_a_pipe_among_inputs(here: Path) -> None:
    os.mkfifo("a.txt")
    with pytest.raises(InputError, match="not a regular file"):
        list(read_inputs(["a.txt"]))
