"""Verbs that get something out of a memory, and say what it was worth."""
