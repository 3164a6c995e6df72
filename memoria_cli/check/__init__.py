"""Verbs that check and maintain a store."""
