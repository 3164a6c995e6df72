"""One self-contained HTML file about a memory (extra `viz`)."""
