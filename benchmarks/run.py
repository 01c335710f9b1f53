"""`python benchmarks/run.py [NAME...] [--runs 7] [--quick]`: every budget beside its figure."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.main import main  # noqa: E402 - the path must know the package first

if __name__ == "__main__":
    raise SystemExit(main())
