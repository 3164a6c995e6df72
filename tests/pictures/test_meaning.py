"""The map of a memory: what is alike lies together, parts have words, and it never changes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from memoria.analysis import Analysis, Chronicle, analyse, open_chronicle
from memoria.analysis.meaning import find_topics, place, principal_axes
from memoria.backbones import load_backbone
from memoria.config import MemoriaConfig
from memoria.errors import InputError, MissingExtraError
from memoria.store import MemoryStore

TOPICS = {
    "bees": "the bees like clover and honey in summer",
    "clock": "a clock maker repairs old clocks by winding springs",
    "boat": "sailors steer a boat across the cold harbour water",
}


@pytest.fixture(scope="module")
def mind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three topics of 30 texts each, in turn."""
    path, backbone = tmp_path_factory.mktemp("mind") / "store", load_backbone("hash")
    config = MemoriaConfig(backbone="hash", hidden_dim=backbone.dimension, initial_lifespan=30)
    with MemoryStore.create(path, config) as store:
        for day in range(30):
            texts = [f"{text}, day {day}" for text in TOPICS.values()]
            store.step(backbone.encode(texts), texts=texts)
    return path


def mapped(path: Path, **options: Any) -> Analysis:
    with open_chronicle(path) as chronicle:
        return analyse(chronicle, "map", method="pca", **options)


def test_what_is_alike_lies_together_and_parts_have_their_words(mind: Path) -> None:
    found = mapped(mind)
    frame, topics = found.frame(), found.frames["topics"]
    assert len(frame["id"]) == len(frame["text"]) > 60
    which = np.array(
        [next(n for n in range(3) if list(TOPICS.values())[n] in t) for t in frame["text"]]
    )
    xy = np.column_stack((frame["x"], frame["y"]))
    middles = np.array([xy[which == n].mean(axis=0) for n in range(3)])
    away = np.linalg.norm(xy[:, None] - middles[None], axis=2)
    assert (away.argmin(axis=1) == which).mean() > 0.95
    for number, words in enumerate(topics["words"].tolist()):
        names = {tuple(TOPICS)[n] for n in which[frame["topic"] == number].tolist()}
        assert any(
            word.removesuffix("s") in " ".join(names) or word in TOPICS[name]
            for word in words.split()
            for name in names
        ), (words, names)
    assert (frame["topic"] >= 0).all()
    assert "Parts of the map: " in found.alt


def test_the_same_state_makes_the_same_map(mind: Path) -> None:
    assert mapped(mind).document() == mapped(mind).document()
    aged = mapped(mind, colour="age").document()
    assert aged["frames"] == mapped(mind).document()["frames"]


def test_of_many_engrams_some_are_shown_and_it_is_said(mind: Path) -> None:
    for by, words in (("even", "spread over the life"), ("newest", "the newest")):
        found = mapped(mind, limit=20, by=by)
        ids = found.frame()["id"]
        assert len(ids) == 20
        assert (np.diff(ids) > 0).all()
        assert f"20 of {len(mapped(mind))} engrams, {words}" in found.note
    assert mapped(mind, limit=7, forgotten=True).frame()["id"][0] == 0


def test_principal_components_are_those_of_the_covariance() -> None:
    for shape in ((40, 6), (6, 40)):  # few and many dimensions
        points = np.random.default_rng(1).normal(size=shape) @ np.diag(1 + np.arange(shape[1]))
        found, shares = principal_axes(points, 2)
        centred = points - points.mean(axis=0)
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
        expected = (left * values)[:, :2]
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-8)
        np.testing.assert_allclose(shares, values[:2] ** 2 / (values**2).sum())
        far = np.abs(found).argmax(axis=0)
        assert (found[far, [0, 1]] > 0).all()
        shown = place(points[:, ::-1].copy(), "pca").xy  # the order of dimensions means nothing
        np.testing.assert_allclose(shown, found, atol=1e-5)


def test_maps_of_nothing_of_one_and_of_what_is_all_alike() -> None:
    for count in (0, 1, 5):
        placed = place(np.ones((count, 3)), "pca")
        assert (placed.xy == 0).all()
        assert placed.xy.shape == (count, 2)
        topics = find_topics(placed.xy, ["bees fly"] * count)
        assert topics.words == (["bees fly"] if count > 1 else [])


def test_umap_is_taken_where_it_is_installed(mind: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "umap" not in sys.modules:
        monkeypatch.setitem(sys.modules, "umap", None)
        monkeypatch.setitem(sys.modules, "umap.umap_", None)
    with pytest.raises(MissingExtraError, match="pip install umap-learn"):
        place(np.eye(20), "umap")
    seen: dict[str, Any] = {}

    class Umap:
        def __init__(self, **options: Any) -> None:
            seen.update(options)

        def fit_transform(self, points: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            seen["shape"] = points.shape
            return points[:, :2].astype(np.float32)

    library = ModuleType("umap.umap_")
    library.UMAP = Umap  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", ModuleType("umap"))
    monkeypatch.setitem(sys.modules, "umap.umap_", library)
    placed = place(np.random.default_rng(0).normal(size=(60, 70)), "umap")
    assert seen == {"n_neighbors": 15, "random_state": 0, "n_jobs": 1, "shape": (60, 50)}
    assert (placed.method, placed.labels[0]) == ("umap", "UMAP, first dimension")


def test_a_life_without_vectors_is_refused(mind: Path) -> None:
    with open_chronicle(mind) as chronicle:
        object.__setattr__(chronicle, "read_vectors", None)
        assert isinstance(chronicle, Chronicle)
        with pytest.raises(InputError, match="this life has no vectors"):
            analyse(chronicle, "map")
