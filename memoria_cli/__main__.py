"""``python -m memoria_cli``, and the script ``memoria``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# The products of a step are small: waking a second thread for each costs more than it gains.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and return its exit code."""
    try:
        from memoria_cli.boundary import run

        return run(sys.argv[1:] if arguments is None else list(arguments))
    except KeyboardInterrupt:  # before or after there is anybody to say so
        return 130


if __name__ == "__main__":
    sys.exit(main())
