"""Durable append-only Zarr arrays with one atomic commit. Knows nothing of engrams."""
