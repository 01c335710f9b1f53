"""Kills a run in the middle of a step, looks what the record says of it, and goes on: `python examples/resilience/run.py`.

Takes about fifteen seconds. Everything happens in a temporary folder; nothing is left behind.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from core import get_context, pipeline, step

PACE = float(os.environ.get("PACE") or 0.5)
"""Seconds that an epoch takes: slow enough to read along."""


@step
def load(rows: int) -> list[float]:
    print(f"loading {rows} rows")
    time.sleep(PACE)
    return [row / rows for row in range(rows)]


@step
def train(data: list[float], epochs: int) -> float:
    """Keeps a checkpoint after each epoch, and begins with the newest that there is."""
    context = get_context()
    epoch, weight = context.last_checkpoint((0, 0.0))
    print(f"begins with epoch {epoch + 1}, in process {os.getpid()}", flush=True)
    while epoch < epochs:
        time.sleep(PACE)
        epoch, weight = epoch + 1, weight + sum(data) / len(data)
        context.checkpoint((epoch, weight))
        print(f"epoch {epoch} of {epochs}, weight {weight:.2f}", flush=True)
    return weight


@step
def evaluate(model: float) -> float:
    print(f"scores {model / 2:.2f}")
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


def begin(rows: int, **environment: str) -> tuple[subprocess.Popen[str], int]:
    """Start the training in a process of its own and wait for its third epoch; gives also who is at that."""
    command = [sys.executable, __file__, str(rows)]
    environment = {**os.environ, "CORE_DISPLAY": "plain", **environment}  # a live one would leave the cursor hidden
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    trainer = process.pid
    for line in process.stdout or ():
        print(line, end="", flush=True)
        if "begins with epoch" in line:
            trainer = int(line.split()[-1])
        if "epoch 2 of" in line:
            break
    time.sleep(PACE / 2)
    return process, trainer


def end(process: subprocess.Popen[str]) -> None:
    """Show what it still prints, and how it ends."""
    for line in process.stdout or ():
        print(line, end="", flush=True)
    code = process.wait()
    print(f"(ended by {signal.Signals(-code).name})" if code < 0 else f"(ended with exit code {code})", flush=True)


def main() -> None:
    tell("A training of six epochs begins. In the third it is killed: kill -9, no chance to say goodbye.")
    process, _ = begin(1000)
    process.kill()
    end(process)

    tell("What does the record say? Not 'running': the run lost its owner, and that is known at once.")
    core("runs", "list")
    core("runs", "show", "latest")

    tell("One command goes on with the same run. `load` is finished and stays so; `train` begins at its checkpoint.")
    core("runs", "resume", "latest")
    core("runs", "show", "latest")

    tell("Now steps run in worker processes, and somebody kills the one that trains. The run does not die with it.")
    process, worker = begin(2000, CORE_WORKERS="2")
    os.kill(worker, signal.SIGKILL)
    end(process)
    tell("The step was not at fault, so it was tried again: attempt 2, from the checkpoint of attempt 1.")
    core("runs", "show", "latest")

    tell("Last: SIGTERM, as a cloud sends it before it takes a machine away. The run ends in order, as cancelled.")
    process, _ = begin(3000)
    process.terminate()
    end(process)
    core("runs", "list")

    tell("It goes on the same way, today or tomorrow.")
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
