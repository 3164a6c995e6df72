"""The backbone ``hash``: the same bits everywhere, no NaN, and it finds what it should."""

from __future__ import annotations

import hashlib
import os
import pydoc_data.topics
import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoria.backbones import load_backbone
from memoria.backbones.hashing import HashBackbone, words_of
from memoria.errors import BackboneError
from memoria.io.units import flatten, split

# sha256 of the vectors of GOLDEN_TEXTS. It may never change: stores hold such vectors.
GOLDEN = "65cf3a18bf97c08a60802014bb92556abb2456bfd5f2e13e590a581c8cdb65f6"
GOLDEN_TEXTS = [
    "",
    "...",
    "The quick brown fox jumps over the lazy dog, the dog sleeps.",
    "ÉTÉ naïve ﬁn Straße don't",
    "你好世界 こんにちは",
    "नमस्ते दुनिया",
    "🙂",
    "x" * 500,
]


def golden_digest() -> str:
    parts = [HashBackbone(d).encode(GOLDEN_TEXTS).astype("<f4").tobytes() for d in (8, 100, 384)]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_bits_never_change() -> None:
    assert golden_digest() == GOLDEN


@pytest.mark.parametrize("seed", ["0", "1234"])
def test_bits_do_not_depend_on_the_hash_seed_and_torch_stays_out(seed: str) -> None:
    code = (
        "import sys, hashlib; from memoria.backbones import load_backbone\n"
        "v = load_backbone('hash').encode(['one two three', 'vier fünf'])\n"
        "print(hashlib.sha256(v.tobytes()).hexdigest(), 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    here = load_backbone("hash").encode(["one two three", "vier fünf"])
    assert done.stdout.split() == [hashlib.sha256(here.tobytes()).hexdigest(), "False"]


@given(st.lists(st.text(max_size=40), min_size=1, max_size=6), st.sampled_from([8, 9, 64]))
@settings(deadline=None)
def test_unit_vectors_that_do_not_depend_on_the_batch(texts: list[str], dimension: int) -> None:
    backbone = HashBackbone(dimension)
    vectors = backbone.encode(texts)
    assert vectors.shape == (len(texts), dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert np.array_equal(HashBackbone(dimension).encode([text])[0], vector)


def test_cache_and_grouping_do_not_change_the_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"number {i} of {i * i} things and {i % 7}" for i in range(200)]
    whole = HashBackbone(64).encode(texts)
    monkeypatch.setattr("memoria.backbones.hashing._CACHED_WORDS", 20)
    monkeypatch.setattr("memoria.backbones.hashing._GROUP_WORDS", 30)
    monkeypatch.setattr("memoria.backbones.hashing._BLOCK", 7)
    assert np.array_equal(HashBackbone(64).encode(texts), whole)


def test_case_width_and_white_space_do_not_matter() -> None:
    vectors = load_backbone("hash").encode(["Ｆull  Width\nSTRASSE", "full width straße"])
    assert np.array_equal(vectors[0], vectors[1])


def test_words() -> None:
    assert words_of("Don't stop_it, é!") == ["don't", "stop", "it", "é"]
    assert words_of("日本 go") == ["日", "本", "go"]
    assert words_of("?! ") == ["?", "!"]
    assert words_of(" ") == [""]


def test_partial_and_mistyped_queries_find_their_sentence() -> None:
    text = "\n\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    known = [flatten(unit.text) for unit in split(text[:150_000], "sentence")]
    known = list(dict.fromkeys(one for one in known if len(one.split()) >= 6))[:800]
    backbone = load_backbone("hash")
    vectors = backbone.encode(known)
    chance = random.Random(0)
    wanted = chance.sample(range(len(known)), 200)

    def found(queries: list[str]) -> float:
        scores = backbone.encode(queries) @ vectors.T
        own = scores[np.arange(len(wanted)), wanted]
        return float(np.mean((scores > own[:, None]).sum(axis=1) < 5))

    halves = [[w for w in known[i].split() if chance.random() < 0.5] for i in wanted]
    typos = ["".join(c for c in known[i] if chance.random() > 0.1) for i in wanted]
    assert found([" ".join(half) or "x" for half in halves]) > 0.9
    assert found(typos) > 0.95


def test_closer_texts_are_closer() -> None:
    near, same, far = load_backbone("hash").encode(
        ["the cat sat on the mat", "a cat was sitting on a mat", "interest rates rose sharply"]
    )
    assert near @ same > near @ far + 0.2


@pytest.mark.parametrize("dimension", [1, 7, 2**20 + 1])
def test_bounds(dimension: int) -> None:
    with pytest.raises(BackboneError, match="must be 8 to"):
        load_backbone("hash", dimension)


def test_other_items_and_arguments_are_refused() -> None:
    with pytest.raises(BackboneError, match="encodes texts"):
        load_backbone("hash").encode([np.zeros(3)])
    with pytest.raises(BackboneError, match="does not exist"):
        load_backbone("hash:3")
    assert load_backbone("hash").encode([]).shape == (0, 384)
