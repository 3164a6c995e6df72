"""Verbs to study memories with: experiments and the tour."""
