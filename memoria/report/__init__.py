"""One self-contained HTML file about a memory (extra ``viz``)."""

from memoria.report.writing import write_report

__all__ = ["write_report"]
