"""Ask another system questions about conversations, in a virtual environment of its own.

Reads a job from standard input: ``{"peer", "data"}``. ``data`` is a JSON file, a list of
``{"texts", "questions", "vectors"}``; vectors are a .npz file with ``texts`` [n, D] and
``questions`` [q, D], of length 1, of the one encoder that all get. Prints the numbers of the ten
best texts for each question, and the seconds of building and of asking.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

Ask = Callable[[str], list[int]]
Floats = npt.NDArray[np.float32]

TOP = 10
_WIDE = 50  # it fuses ten times as many as are asked for: more finds more
SETTINGS = {"HF_HUB_OFFLINE": "1", "ANONYMIZED_TELEMETRY": "False", "TOKENIZERS_PARALLELISM": "0"}


class Known:
    """An encoder of texts whose vectors are known, so that no peer needs a model of its own."""

    def __init__(self, texts: Sequence[str], vectors: Floats) -> None:
        self.vectors = dict(zip(texts, vectors.astype(np.float32), strict=True))
        self.dimension = vectors.shape[1]

    def of(self, texts: Sequence[str]) -> Floats:
        return np.stack([self.vectors[text] for text in texts])


def ask_bm25s(texts: Sequence[str], known: Known) -> Ask:
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")
    words = {"stopwords": "en", "stemmer": stemmer, "show_progress": False}
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, **words), show_progress=False)

    def ask(question: str) -> list[int]:
        asked = bm25s.tokenize(question, **words)
        found, _ = index.retrieve(asked, k=min(TOP, len(texts)), show_progress=False)
        return found[0].tolist()

    return ask


def ask_agentrecall(texts: Sequence[str], known: Known) -> Ask:
    """By words alone, as its core is installed."""
    return _agentrecall(texts, None)


def ask_agentrecall_vectors(texts: Sequence[str], known: Known) -> Ask:
    """By words and vectors, as with its extra ``semantic``."""
    return _agentrecall(texts, known)


def _agentrecall(texts: Sequence[str], known: Known | None) -> Ask:
    from agentrecall import Memory

    class Embedder:
        dim = known.dimension if known else 0

        def embed(self, texts: list[str]) -> Any:
            return known.of(texts).tolist()

    memory = Memory(
        os.path.join(tempfile.mkdtemp(), "memory.db"),
        embeddings=known is not None,
        embedder=Embedder() if known else None,
    )
    ids = {one.id: at for at, one in enumerate(memory.add_many(list(texts)))}
    return lambda question: [ids[hit.id] for hit in memory.search(question, k=TOP)]


def ask_langchain(texts: Sequence[str], known: Known) -> Ask:
    """Reciprocal rank fusion of BM25 and FAISS, half and half, as its documentation shows."""
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever
    from langchain_community.vectorstores import FAISS
    from langchain_core.embeddings import Embeddings

    class Known(Embeddings):
        def embed_documents(self, texts: list[str]) -> Any:
            return known.of(texts).tolist()

        def embed_query(self, text: str) -> Any:
            return known.of([text])[0].tolist()

    at = [{"at": number} for number in range(len(texts))]
    words = BM25Retriever.from_texts(texts, metadatas=at, k=TOP)
    near = FAISS.from_texts(texts, Known(), metadatas=at).as_retriever(search_kwargs={"k": TOP})
    both = EnsembleRetriever(retrievers=[words, near], weights=[0.5, 0.5], id_key="at")
    return lambda question: [one.metadata["at"] for one in both.invoke(question)][:TOP]


def ask_chromadb(texts: Sequence[str], known: Known) -> Ask:
    import chromadb

    client = chromadb.EphemeralClient(chromadb.Settings(anonymized_telemetry=False))
    name = f"texts-{id(texts)}"
    held = client.create_collection(
        name, embedding_function=None, metadata={"hnsw:space": "cosine"}
    )
    ids = [str(number) for number in range(len(texts))]
    held.add(ids=ids, documents=list(texts), embeddings=known.of(texts))

    def ask(question: str) -> list[int]:
        found = held.query(query_embeddings=known.of([question]), n_results=TOP)
        return [int(one) for one in found["ids"][0]]

    return ask


def ask_txtai(texts: Sequence[str], known: Known) -> Ask:
    from txtai import Embeddings

    index = Embeddings(method="external", transform=lambda texts: known.of(texts), hybrid=True)
    index.index((number, text, None) for number, text in enumerate(texts))
    return lambda question: [int(found) for found, _ in index.search(question, _WIDE)][:TOP]


PEERS = {
    "bm25s": (ask_bm25s, "bm25s"),
    "agentrecall": (ask_agentrecall, "agentrecall-db"),
    "agentrecall_vectors": (ask_agentrecall_vectors, "agentrecall-db"),
    "langchain": (ask_langchain, "langchain-classic"),
    "chromadb": (ask_chromadb, "chromadb"),
    "txtai": (ask_txtai, "txtai"),
}


def run(job: Mapping[str, Any]) -> dict[str, Any]:
    prepare, package = PEERS[job["peer"]]
    with open(job["data"], encoding="utf-8") as file:
        data = json.load(file)
    ranked, building, asking = [], 0.0, []
    for one in data:
        held = np.load(one["vectors"])
        vectors = np.concatenate([held["texts"], held["questions"]])
        known = Known([*one["texts"], *one["questions"]], vectors)
        began = time.perf_counter()
        ask = prepare(one["texts"], known)
        building += time.perf_counter() - began
        found = []
        for question in one["questions"]:
            began = time.perf_counter()
            found.append(ask(question))
            asking.append(time.perf_counter() - began)
        ranked.append(found)
    return {
        "version": f"{package} {version(package)}",
        "ranked": ranked,
        "build_seconds": building,
        "ask_seconds": asking,
    }


if __name__ == "__main__":
    os.environ.update(SETTINGS)
    print(json.dumps(run(json.load(sys.stdin))))
