"""Kills a run in the middle of a step, looks what the record says of it, and goes on: `python examples/resilience/run.py`.

Takes about fifteen seconds. Everything happens in a temporary folder; nothing is left behind.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core import get_context, pipeline, step


@step
def load(rows: int) -> list[float]:
    print(f"load: {rows} rows")
    time.sleep(0.5)
    return [row / rows for row in range(rows)]


@step
def train(data: list[float], epochs: int) -> float:
    """Keeps a checkpoint after each epoch, and begins with the newest that there is."""
    context = get_context()
    epoch, weight = context.last_checkpoint((0, 0.0))
    print(f"train: begins with epoch {epoch + 1}")
    while epoch < epochs:
        time.sleep(0.5)
        epoch, weight = epoch + 1, weight + sum(data) / len(data)
        context.checkpoint((epoch, weight))
        print(f"train: epoch {epoch} of {epochs}, weight {weight:.2f}", flush=True)
    return weight


@step
def evaluate(model: float) -> float:
    print("evaluate")
    return model / 2


@pipeline
def training(rows: int = 1000, epochs: int = 6) -> None:
    evaluate(train(load(rows), epochs))


def tell(text: str) -> None:
    print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


def core(*words: str) -> None:
    """Run `core` as a person would."""
    print("$ core", *words, flush=True)
    subprocess.run([sys.executable, "-m", "core", *words], check=True)


def begin(rows: int, **environment: str) -> subprocess.Popen[bytes]:
    """Start the training in a process of its own, and wait for its third epoch."""
    process = subprocess.Popen([sys.executable, __file__, str(rows)], env={**os.environ, **environment})
    time.sleep(1.9)
    return process


def main() -> None:
    tell("A training of six epochs begins. In the middle of the third it is killed: kill -9, no chance to say goodbye.")
    process = begin(1000)
    process.kill()
    process.wait()

    tell("What does the record say? Not 'running': the run lost its owner, and it is known at once.")
    core("runs", "list")
    core("runs", "show", "latest")

    tell("One command goes on with the same run. `load` is finished and stays so; `train` begins at its checkpoint.")
    core("runs", "resume", "latest")
    core("runs", "show", "latest")

    tell("Now with a worker process, which is killed by somebody: that is no fault of the step, so it is tried again.")
    process = begin(2000, CORE_WORKERS="2")
    subprocess.run(["pkill", "-9", "-n", "-f", f"{__file__} 2000"], check=False)
    process.wait()
    core("runs", "show", "latest")

    tell("Last: SIGTERM, as a cloud sends it before it takes a machine away. The run ends in order, and goes on later.")
    process = begin(3000)
    process.terminate()
    process.wait()
    core("runs", "list")
    core("runs", "resume", "latest")
    core("runs", "list")


if __name__ == "__main__":
    if sys.argv[1:]:
        training(rows=int(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["CORE_HOME"] = str(Path(folder) / "core")
            os.environ["PYTHONUNBUFFERED"] = "1"
            main()
