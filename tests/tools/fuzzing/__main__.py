"""Run the cases of one kind and print the findings as JSON; exit code 1 if there are any."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from fuzzing import kinds
from fuzzing.judge import Findings, Judge, bound_memory


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzzing", description=__doc__)
    parser.add_argument("kind", choices=sorted(kinds.KINDS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=1e9, help="start no case after so long")
    parser.add_argument("--only", type=int, help="run this case alone, and keep its folder")
    asked = parser.parse_args()
    findings = run(asked.kind, asked.seed, asked.cases, asked.seconds, asked.only)
    print(json.dumps(asdict(findings)))
    return 1 if findings.problems else 0


def run(kind: str, seed: int, cases: int, seconds: float, only: int | None) -> Findings:
    """Cases 0, 1, ... of a kind; each one is drawn from (seed, number) alone."""
    case = kinds.load(kind)
    findings, judge = Findings(), None
    case(Judge(Findings(), "0:"), random.Random(0), _fresh() / "here")  # everything is loaded
    bound_memory()
    end = time.monotonic() + seconds
    for number in range(cases) if only is None else (only,):
        if time.monotonic() > end:
            break
        judge = Judge(findings, f"{kind} --seed {seed} --only {number}:")
        folder = _fresh()
        os.chdir(folder)
        case(judge, random.Random(f"{seed}:{number}"), folder / "here")
        findings.cases += 1
        outside = sorted(path.name for path in folder.iterdir() if path.name != "here")
        if outside:
            judge.note("the case", f"left {outside} outside of its folder")
        os.chdir("/")
        if only is None:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(folder, file=sys.stderr)
    return findings


def _fresh() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    (folder / "here").mkdir()
    return folder


if __name__ == "__main__":
    sys.exit(main())
