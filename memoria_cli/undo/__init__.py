"""Verbs that correct a memory by hand."""
