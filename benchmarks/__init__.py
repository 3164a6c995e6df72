"""Benchmarks: ``python -m benchmarks NAME``. They measure the tree they lie in."""
