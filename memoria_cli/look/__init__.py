"""Verbs that show a memory."""
