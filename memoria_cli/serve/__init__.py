"""Verbs that keep a memory open for others: a page and an API, tools for agents."""
