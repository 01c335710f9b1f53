"""Bundles of jobs that nobody runs yet: `job.py FOLDER COUNT` writes COUNT files into FOLDER, named by their numbers."""

import sys
from pathlib import Path

import numpy as np

from core import RunFailed, pipeline, step


@step
def one(x: int) -> int:
    return int(np.int64(x) + 1)


@pipeline
def jobs(count: int) -> None:
    for number in range(count):
        one(number)


def main(folder: Path, count: int) -> None:
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
        jobs(count)
    except RunFailed:
        return


if __name__ == "__main__":
    sys.modules["job"] = sys.modules["__main__"]
    main(Path(sys.argv[1]), int(sys.argv[2]))
