"""Backbone ``static``: the built-in weights where they are installed, and tiny Model2Vec models."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

tokenizers = pytest.importorskip("tokenizers")
safetensors = pytest.importorskip("safetensors.numpy")

from memoria.backbones import Backbone, default_backbone, load_backbone, static_files  # noqa: E402
from memoria.errors import BackboneError, MissingExtraError  # noqa: E402

VOCABULARY = {"[UNK]": 0, "bees": 1, "like": 2, "clover": 3, "clocks": 4}
ROWS = np.array([[9, 9, 9], [1, 0, 0], [0, 2, 0], [3, 0, 4], [0, 0, 5]], dtype=np.float32)
TEXTS = [
    "Ada keeps bees behind the house.",
    "",
    "Bienen mögen Klee — 蜂が好き \U0001f41d",
    "x",
    "The clock in the hall runs late. " * 40,
]

needs_weights = pytest.mark.skipif(
    not static_files.has_built_in_model(), reason="wordllama is not installed"
)


class _Version(NamedTuple):
    major: int
    minor: int
    micro: int


def save_model(folder: Path, part: str = "", tensor: str = "embeddings", **more: Any) -> Path:
    """A Model2Vec folder of five words."""
    inner = folder / part
    inner.mkdir(parents=True, exist_ok=True)
    fast = tokenizers.Tokenizer(tokenizers.models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    fast.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast.save(str(inner / "tokenizer.json"))
    rows = more.pop("rows", ROWS)
    safetensors.save_file({tensor: rows, **more.pop("arrays", {})}, inner / "model.safetensors")
    if "config" in more:
        (folder / "config.json").write_text(json.dumps(more["config"]))
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tmp_path / "model", config={"normalize": False})


def test_a_vector_is_the_mean_of_its_tokens_rows(model: Path) -> None:
    backbone = load_backbone(f"static:{model}")
    assert isinstance(backbone, Backbone)
    assert (backbone.dimension, backbone.options) == (3, {"normalize": False})
    vectors = backbone.encode(["bees like clover", "bees unheard bees", "unheard", ""])
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [[4 / 3, 2 / 3, 4 / 3], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    assert backbone.encode([]).shape == (0, 3)
    unit = load_backbone(f"static:{model}", normalize=True)
    assert np.allclose(unit.encode(["bees like clover", ""]), [[2 / 3, 1 / 3, 2 / 3], [0, 0, 0]])
    assert unit.options == {"normalize": True}


def test_neighbours_in_the_batch_do_not_matter(model: Path) -> None:
    backbone = load_backbone(f"static:{model}")
    texts = ["bees like clover", "", "clocks", "like clover clover"] * 40
    together = backbone.encode(texts)
    assert all(
        np.array_equal(backbone.encode([text])[0], row)
        for text, row in zip(texts, together, strict=True)
    )


def test_the_word_table_is_the_rows(model: Path) -> None:
    table = load_backbone(f"static:{model}").word_table()
    assert table is not None
    assert table.word_vectors(["bees", "like clover", "unheard"]).tolist() == [
        [1, 0, 0],
        [3, 2, 4],
        [0, 0, 0],
    ]
    assert table.word_vectors(["bees"]).dtype == np.float32
    assert table.word_vectors([]).shape == (0, 3)
    assert table.is_word("bees")
    assert not table.is_word("like clover")
    assert not table.is_word("unheard")


def test_models_are_read_as_sentence_transformers_write_them(tmp_path: Path) -> None:
    save_model(tmp_path / "m", part="0_StaticEmbedding", tensor="embedding.weight")
    backbone = load_backbone(f"static:{tmp_path / 'm'}")
    assert backbone.options == {"normalize": True}  # said nowhere
    assert backbone.encode(["clocks"]).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize("shared", [False, True])
def test_rows_that_tokens_share_and_weights_of_tokens(tmp_path: Path, shared: bool) -> None:
    arrays = {"weights": np.array([1, 2, 1, 0.5, 1])}
    if shared:
        arrays["mapping"] = np.array([0, 1, 1, 2, 2])
    folder = save_model(tmp_path / "m", rows=ROWS[:3] if shared else ROWS, arrays=arrays, config={})
    made = load_backbone(f"static:{folder}", normalize=False).encode(["bees like clover"])
    weighted = (
        2 * ROWS[1] + 1 * ROWS[1] + 0.5 * ROWS[2] if shared else 2 * ROWS[1] + ROWS[2] + ROWS[3] / 2
    )
    assert np.allclose(made[0], weighted / 3)


def test_the_package_model2vec_gives_the_same_vectors(model: Path) -> None:
    model2vec = pytest.importorskip("model2vec")
    texts = ["bees like clover", "clocks unheard", ""]
    theirs = model2vec.StaticModel.from_pretrained(model).encode(texts)
    assert np.allclose(load_backbone(f"static:{model}").encode(texts), theirs, atol=1e-6)


def test_the_fingerprint_is_that_of_the_weights_and_the_vocabulary(tmp_path: Path) -> None:
    first = load_backbone(f"static:{save_model(tmp_path / 'a')}")
    again = load_backbone(f"static:{save_model(tmp_path / 'b')}")
    other = load_backbone(f"static:{save_model(tmp_path / 'c', rows=ROWS * 2)}")
    assert len(first.fingerprint) == 64
    assert first.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), "does not load"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "does not load"),
        (lambda folder: (folder / "config.json").write_text("{"), "does not load"),
        (lambda folder: save_model(folder, rows=ROWS[:4]), "5 tokens"),
        (lambda folder: save_model(folder, rows=ROWS * np.nan), "NaN"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "holds no Model2Vec model"),
    ],
)
def test_folders_that_hold_no_sound_model(model: Path, damage: Any, complaint: str) -> None:
    damage(model)
    with pytest.raises(BackboneError, match=complaint) as caught:
        load_backbone(f"static:{model}")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_asked(model: Path, tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="no such folder"):
        load_backbone(f"static:{tmp_path / 'nowhere'}")
    with pytest.raises(BackboneError, match="no option 'pooling'"):
        load_backbone(f"static:{model}", pooling="mean")
    with pytest.raises(BackboneError, match="3 numbers, 384 are needed"):
        load_backbone(f"static:{model}", 384)
    with pytest.raises(BackboneError, match="encodes texts"):
        load_backbone(f"static:{model}").encode([np.zeros(3)])


def test_without_the_package_the_error_is_the_way_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(static_files, "_PACKAGE", "no_such_package_at_all")
    monkeypatch.setattr(static_files, "_no_wheel_hint", lambda: None)
    assert default_backbone() == "hash"
    with pytest.raises(MissingExtraError, match=r"pip install 'memoria-engrams\[text\]'") as caught:
        load_backbone("static")
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("version", "system", "machine", "where"),
    [
        ((3, 14, 0), "linux", "x86_64", "Python 3.14"),
        ((3, 13, 1), "linux", "aarch64", "Linux on aarch64"),
        ((3, 13, 1), "linux", "x86_64", None),
        ((3, 13, 1), "darwin", "arm64", None),
    ],
)
def test_where_there_are_no_built_in_weights_the_error_says_so(
    monkeypatch: pytest.MonkeyPatch,
    version: tuple[int, ...],
    system: str,
    machine: str,
    where: str | None,
) -> None:
    monkeypatch.setattr(static_files, "_PACKAGE", "no_such_package_at_all")
    monkeypatch.setattr(static_files.sys, "version_info", _Version(*version))
    monkeypatch.setattr(static_files.sys, "platform", system)
    monkeypatch.setattr(static_files.platform, "machine", lambda: machine)
    with pytest.raises(MissingExtraError) as caught:
        load_backbone("static")
    assert ("pip install" in str(caught.value)) is (where is None)
    assert where is None or f"for {where}: choose 'static:FOLDER' or 'hash'" in str(caught.value)


@needs_weights
class TestBuiltIn:
    def test_vectors_are_those_of_the_package(self, tmp_path: Path) -> None:
        wordllama = pytest.importorskip("wordllama")
        # It looks for its tokenizer in a cache first, and would else download what it carries.
        (tmp_path / "tokenizers").symlink_to(Path(wordllama.__file__).parent / "tokenizers")
        theirs = wordllama.WordLlama.load(cache_dir=tmp_path, disable_download=True)
        texts = [text for text in TEXTS if text]
        expected = theirs.embed(texts, norm=True)
        assert np.allclose(load_backbone("static").encode(texts), expected, atol=1e-6)
        plain = load_backbone("static", normalize=False)
        assert np.allclose(plain.encode(TEXTS), theirs.embed(TEXTS), atol=1e-6)

    def test_the_default_where_it_is_installed(self) -> None:
        assert default_backbone() == "static"
        backbone = load_backbone("static")
        assert (backbone.name, backbone.dimension) == ("static", 256)
        assert backbone.options == {"normalize": True}

    def test_any_text_is_encoded(self) -> None:
        vectors = load_backbone("static").encode(["\udc80 bees", "\0", "a" * 100_000, *TEXTS])
        assert np.isfinite(vectors).all()

    def test_meaning_is_near(self) -> None:
        first, near, far = load_backbone("static").encode(
            ["The doctor sees patients.", "A physician treats the sick.", "He sails his boat."]
        )
        assert first @ near > first @ far + 0.2

    def test_the_word_table(self) -> None:
        table = load_backbone("static").word_table()
        assert table is not None
        vectors = table.word_vectors(["honey", "clover"])
        assert vectors.shape == (2, 256)
        assert table.is_word("house")
        assert not table.is_word("hnouse")

    def test_it_runs_none_of_the_packages_code_and_no_torch(self) -> None:
        code = (
            "import sys; from memoria.backbones import load_backbone;"
            "load_backbone('static').encode(['bees']);"
            "print(sorted({'wordllama', 'torch', 'huggingface_hub'} & set(sys.modules)))"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (run.stdout, run.stderr) == ("[]\n", "")
