"""What the runs of a folder say together: tables, differences seed by seed, plots, as one file."""

from memoria.experiments.reporting.report import Report, read_report
from memoria.experiments.reporting.writing import FORMATS, write_report

__all__ = ["FORMATS", "Report", "read_report", "write_report"]
