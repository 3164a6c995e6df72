"""Questions about a memory on disk: lists, filters, comparisons, summaries. Never changes it."""
