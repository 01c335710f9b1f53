"""Bundles of jobs that nobody runs yet: `job.py FOLDER COUNT MEGABYTES` writes COUNT files into FOLDER, named by numbers.

The step of each prints MEGABYTES in lines of 100 bytes.
"""

import sys
from pathlib import Path

import numpy as np

from core import RunFailed, pipeline, step


@step
def talk(megabytes: int, number: int) -> int:
    line = "x" * 99
    for _ in range(megabytes * 10_000):
        print(line)
    return int(np.int64(number) + 1)


@pipeline
def jobs(count: int, megabytes: int) -> None:
    for number in range(count):
        talk(megabytes, number)


def main(folder: Path, count: int, megabytes: int) -> None:
    from core.errors import ConfigurationError
    from core.stack import Stack
    from core.testing.orchestrator import ProcessOrchestrator
    from core.workspace import Workspace

    class Keeper(ProcessOrchestrator):
        """Keeps what jobs are told, and launches none."""

        kept = 0

        def launch(self, job):
            (folder / str(self.kept)).write_bytes(job.bundle)
            self.kept += 1
            raise ConfigurationError("kept for later")

    Keeper.slots = 1
    Workspace.stack = Stack("jobs", Keeper(), Workspace().stack.artifact_store)
    try:
        jobs(count, megabytes)
    except RunFailed:
        return


if __name__ == "__main__":
    sys.modules["job"] = sys.modules["__main__"]
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
