"""The adapters against the libraries that they are for."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from served_notes import make_notes

from memoria.errors import InputError
from memoria.store import MemoryStore
from memoria.store.remembering import remember
from memoria.store.sharing import SharedStore
from memoria.store.verify import verify


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return make_notes(tmp_path / "notes")


def test_a_retriever_of_langchain(notes: Path) -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import RunnableLambda

    from memoria.adapters.langchain import MemoriaRetriever

    retriever = MemoriaRetriever(notes, top=2)
    assert isinstance(retriever, BaseRetriever)
    first, second = retriever.invoke("Where do the bees live?")
    assert isinstance(first, Document)
    assert first.page_content == "The bees live in the old oak."
    assert (first.id, first.metadata["id"]) == ("0", 0)
    assert first.metadata["source"] == "talk.txt"
    assert first.metadata["time"] == "2023-11-14T22:13:20.000Z"
    assert first.metadata["speaker"] == "Clara"
    assert first.metadata["score"] >= second.metadata["score"]
    chain = retriever | RunnableLambda(lambda found: [one.page_content for one in found])
    assert chain.invoke("Bo dog")[0] == "Bo is her dog."
    assert asyncio.run(retriever.ainvoke("Bo dog"))[0].page_content == "Bo is her dog."
    assert MemoriaRetriever(notes, options={"sources": ["other"]}).invoke("bees") == []
    assert MemoriaRetriever(notes, least_confidence=1.1).invoke("bees") == []
    with SharedStore(notes) as shared:
        assert MemoriaRetriever(shared).invoke("bees")


def test_a_retriever_of_llama_index(notes: Path) -> None:
    pytest.importorskip("llama_index.core")
    from llama_index.core.schema import NodeWithScore

    from memoria.adapters.llama_index import MemoriaRetriever

    found = MemoriaRetriever(notes, top=2).retrieve("Where do the bees live?")
    assert all(isinstance(one, NodeWithScore) for one in found)
    assert found[0].get_content() == "The bees live in the old oak."
    assert found[0].metadata["speaker"] == "Clara"
    assert found[0].score is not None
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert MemoriaRetriever(notes, sources=["other"]).retrieve("bees") == []


def test_a_store_of_langgraph(notes: Path) -> None:
    pytest.importorskip("langgraph")
    from langgraph.store.base import BaseStore, InvalidNamespaceError

    from memoria.adapters.langgraph import MemoriaStore

    store = MemoriaStore(notes)
    assert isinstance(store, BaseStore)
    anna, bo = ("users", "anna"), ("users", "bo")
    store.put(anna, "food", {"text": "Anna likes rye bread.", "stars": 4})
    store.put(anna, "pet", {"text": "Her dog is called Bo.", "stars": 2})
    store.put(bo, "food", {"text": "Bo eats bones.", "stars": 5})
    item = store.get(anna, "food")
    assert item is not None
    assert (item.namespace, item.key) == (anna, "food")
    assert item.value == {"text": "Anna likes rye bread.", "stars": 4}
    assert store.get(anna, "nothing") is None
    found = store.search(("users",), query="What does Anna like to eat? bread", limit=2)
    assert found[0].key == "food"
    assert found[0].namespace == anna
    assert found[0].score is not None
    assert [one.key for one in store.search(anna)] == ["food", "pet"]
    assert [one.key for one in store.search(anna, offset=1, limit=1)] == ["pet"]
    assert len(store.search(("users",), filter={"stars": {"$gte": 4}})) == 2
    assert len(store.search(("users",), filter={"stars": {"$lt": 4, "$ne": 0}})) == 1
    assert store.search(("users",), filter={"text": "Bo eats bones."})[0].namespace == bo
    with pytest.raises(InputError, match=r"\$like"):
        store.search(("users",), filter={"text": {"$like": "a"}})
    assert store.list_namespaces() == [anna, bo]
    assert store.list_namespaces(suffix=("bo",)) == [bo]
    assert store.list_namespaces(prefix=("*", "anna")) == [anna]
    assert store.list_namespaces(max_depth=1) == [("users",)]

    store.put(anna, "food", {"text": "Anna likes wheat bread now."})
    changed = store.get(anna, "food")
    assert changed is not None
    assert changed.value == {"text": "Anna likes wheat bread now."}
    assert changed.created_at == item.created_at
    assert changed.updated_at > item.updated_at
    store.delete(anna, "pet")
    store.delete(anna, "pet")
    assert store.get(anna, "pet") is None
    assert [one.key for one in store.search(("users",), query="dog")].count("pet") == 0
    with pytest.raises(InvalidNamespaceError):
        store.put(("a.b",), "key", {})

    again = MemoriaStore(notes)  # what was put is in the memory
    assert len(again.search(())) == 2
    with MemoryStore.open(notes, "r+") as memory:
        memory.forget([3])
    assert again.get(anna, "food") is None  # others change it too

    async def many() -> None:
        await again.aput(("s",), "k", {"a": {"b": "deep"}}, index=["a.b"])
        kept = await again.aget(("s",), "k")
        assert kept is not None
        assert kept.value == {"a": {"b": "deep"}}

    asyncio.run(many())
    assert verify(notes).findings == ()


@pytest.mark.parametrize("meta", [1, {}, {"namespace": 5, "key": "k", "value": {}}])
def test_a_store_of_langgraph_bears_what_others_keep(notes: Path, meta: Any) -> None:
    pytest.importorskip("langgraph")
    from memoria.adapters.langgraph import MemoriaStore

    store = MemoriaStore(notes)
    with store.store.writing("remember") as memory:
        remember(memory, "Somebody else's.", meta={"langgraph": meta})
    store.put(("a",), "huge", {"size": 10**400})
    assert [one.key for one in store.search(())] == ["huge"]
    assert store.search((), filter={"size": {"$gt": 1}}) == []
