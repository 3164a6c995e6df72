"""Verbs that carry memories and vectors elsewhere."""
