"""Transformers with a memory (extra `hf`)."""
