"""Verbs that put something into a memory."""
