"""Order: which of two segments of a text that was read came first (SORT, Pink et al. 2024)."""
