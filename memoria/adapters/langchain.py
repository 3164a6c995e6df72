"""A retriever for LangChain."""

from __future__ import annotations

import os
from typing import Any

from memoria.adapters.answers import as_shared, ask, metadata
from memoria.errors import MissingExtraError
from memoria.store.sharing import SharedStore

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.retrievers import BaseRetriever
    from pydantic import ConfigDict, Field
except ImportError:
    raise MissingExtraError("the retriever for LangChain", "adapters") from None


class MemoriaRetriever(BaseRetriever):
    """Documents that answer a query, best first: ``MemoriaRetriever(store="notes", top=5)``.

    Attributes:
        store: a path, or a `SharedStore`.
        top: documents, at most.
        least_confidence: answers below it are left out.
        options: what else `MemoryStore.ask` takes, such as ``{"sources": ["*.md"]}``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    store: SharedStore
    top: int = Field(default=10, ge=1)
    least_confidence: float = 0.0
    options: dict[str, Any] = Field(default_factory=dict)

    def __init__(self, store: str | os.PathLike[str] | SharedStore, **more: Any) -> None:
        super().__init__(**{"store": as_shared(store), **more})

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [
            Document(page_content=one.text or "", metadata=metadata(one), id=str(one.id))
            for one in ask(self.store, query, self.top, self.options)
            if one.confidence >= self.least_confidence
        ]
