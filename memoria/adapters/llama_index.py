"""A retriever for LlamaIndex."""

from __future__ import annotations

import os
from typing import Any

from memoria.adapters.answers import as_shared, ask, metadata
from memoria.errors import MissingExtraError
from memoria.store.sharing import SharedStore

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError:
    raise MissingExtraError("the retriever for LlamaIndex", "adapters") from None


class MemoriaRetriever(BaseRetriever):
    """Nodes that answer a query, best first: ``MemoriaRetriever("notes", top=5)``."""

    def __init__(
        self, store: str | os.PathLike[str] | SharedStore, top: int = 10, **options: Any
    ) -> None:
        """``options``: what else `MemoryStore.ask` takes, such as ``sources=["*.md"]``."""
        self.store, self.top, self.options = as_shared(store), top, options
        super().__init__()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(
                node=TextNode(id_=str(one.id), text=one.text or "", metadata=metadata(one)),
                score=one.score,
            )
            for one in ask(self.store, query_bundle.query_str, self.top, self.options)
        ]
