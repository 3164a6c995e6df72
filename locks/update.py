"""Resolve pyproject.toml anew and write the constraint files of this folder. Needs ``uv``."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
TORCH = "torch==2.13.0"  # the release that the README installs
# Only a CUDA build of torch brings these, each release its own versions.
OF_CUDA = re.compile(r"(nvidia-|cuda-|triton==)")


def resolve(python: str, *how: str, torch: str = TORCH) -> str:
    """Constraints for ``python``, one line a package."""
    command = ["uv", "pip", "compile", "--quiet", "--extra", "dev", "--python-version", python]
    command += ["--no-annotate", "--no-header", "--no-emit-index-url", *how, "-c", "-"]
    command.append(str(HERE.parent / "pyproject.toml"))
    found = subprocess.run(command, input=torch, text=True, capture_output=True, check=False)
    if found.returncode != 0:
        sys.exit(found.stderr)
    lines = [line for line in found.stdout.splitlines() if not OF_CUDA.match(line)]
    lines = [re.sub(r"^(torch==[\d.]+)\+\w+$", r"\1", line) for line in lines]  # any build of it
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for version in ("3.11", "3.12", "3.13"):
        (HERE / f"python{version}.txt").write_text(resolve(version))
    (HERE / "lowest.txt").write_text(resolve("3.11", "--resolution", "lowest-direct", torch=""))
