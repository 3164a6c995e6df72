"""A memory for others to use while it stays open: a page and a JSON API, and tools for agents.

Nothing here prints, and what comes out of a memory is data, wherever it goes.
"""
