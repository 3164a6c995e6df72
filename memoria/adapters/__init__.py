"""A memory as other libraries expect one (extra `adapters`): LangChain, LangGraph, LlamaIndex.

Thin: each class keeps to its library's own interface and asks a store that stays open
(`memoria.store.sharing.SharedStore`). Each module needs its library when it is imported.
"""
