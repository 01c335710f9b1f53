"""Failpoints: named places where a test can make the program die, raise or wait; no-ops unless armed.

`CORE_FAILPOINTS="name=kill;other=raise:OSError;third=sleep:2;fourth=drop@3"` arms them in a process and its children;
`@N` lets a failpoint fire at its N-th pass only; `kill:FILE` notes its name in a file first; `drop` lets a message be
lost. Every name stands in `FAILPOINTS`.
"""

from __future__ import annotations

import os

from core.errors import ConfigurationError

FAILPOINTS = frozenset(
    {
        "run.started",  # the run's first event is durable, no step has begun
        "run.resumed",  # the event of a resumed run is durable, nothing of it has begun
        "claim.taken",  # no other run is at the step's work, its start is not recorded
        "attempt.begun",  # the attempt's start is durable, it is not launched
        "step.reused",  # the event of a reused step is noted
        "step.skipped",  # the event of a skipped step is noted
        "step.expanded",  # the event of an expanded step is noted, its instances are not there
        "retry.waits",  # the end of a failed attempt is noted, the next is not begun
        "lease.renew",  # a heartbeat is due; dropped: it is left out
        "worker.forked",  # worker: it is there, it has read nothing
        "task.sent",  # driver: the attempt goes to a worker now
        "task.received",  # worker: it has the attempt, which has not begun
        "task.replied",  # worker: the attempt is over, its result goes out now; dropped: it does not
        "reply.received",  # driver: the result is here, and not recorded
        "worker.idle",  # worker: the result is sent
        "event.acknowledged",  # driver: what a worker wants to be durable is; dropped: it does not hear of that
        "job.wanted",  # driver: that an attempt is to be a job is durable, it is not launched
        "job.launched",  # driver: the job's handle is noted
        "job.taken",  # driver: that it goes on with the job of an owner before is durable
        "job.ended",  # driver: the job has ended and its word is read, which is not recorded
        "job.reported",  # job: what became of the attempt is durable
        "image.built",  # the engine has an image, which is not pushed
        "image.added",  # a container on the engine has the code, no image is made of it
        "image.sent",  # an image's new layer and configuration are in the registry, no manifest names them
        "container.created",  # a job's container is there, and not started
        "container.started",  # it is started, and was told only the beginning of its bundle
        "container.told",  # it has its bundle, who launched it has no handle
        "driver.launched",  # client: the driver of a detached run is launched, nobody has seen it begin
        "run.cleared",  # nothing of a dead owner's run is left at work, its end is not recorded
        "attempt.started",  # the attempt's start is durable, its function has not been called
        "attempt.returned",  # the function has returned, no output is stored
        "attempt.saved",  # the outputs are stored, the attempt's end is not recorded
        "attempt.ended",  # the attempt's end is recorded
        "artifact.written",  # the bytes are in a temporary file, not published
        "checkpoint.kept",  # a checkpoint's event is durable
        "integration.noted",  # what was there before is kept, nothing is changed yet
        "integration.changed",  # packages are changed, nobody has looked whether they agree
        "run.ended",  # the run's last event is durable
        "journal.push",  # a batch of events goes to the journal now
    },
)

_armed: dict[str, tuple[str, int]] = {}
_passes: dict[str, int] = {}


def arm(text: str) -> None:
    """Arm failpoints from `text` (the form of `CORE_FAILPOINTS`); the empty string disarms all."""
    _armed.clear()
    _passes.clear()
    for part in filter(None, text.split(";")):
        name, _, action = part.partition("=")
        action, _, nth = action.partition("@")
        if name not in FAILPOINTS:
            known = ", ".join(sorted(FAILPOINTS))
            raise ConfigurationError(
                f"unknown failpoint {name!r} in CORE_FAILPOINTS", f"known are {known}; unset it outside of tests"
            )
        _armed[name] = (action, int(nth or 0))


def spelled() -> str:
    """What is armed, as `arm` takes it: for a process that is not a fork of this one."""
    return ";".join(f"{name}={action}@{nth}" if nth else f"{name}={action}" for name, (action, nth) in _armed.items())


def armed() -> bool:
    """Whether any failpoint will do something in this process."""
    return bool(_armed)


def failpoint(name: str) -> bool:
    """Do what the environment armed for `name`; True when the caller is to leave out what it was about to do."""
    return bool(_armed) and name in _armed and _fire(name)


def _fire(name: str) -> bool:
    action, nth = _armed[name]
    _passes[name] = _passes.get(name, 0) + 1
    if nth and _passes[name] != nth:
        return False
    verb, _, argument = action.partition(":")
    if verb == "kill":
        if argument:
            with open(argument, "a", encoding="utf-8") as file:
                file.write(f"{name}\n")
        os.kill(os.getpid(), 9)
    elif verb == "sleep":
        import time  # start-up time: only an armed process needs it

        time.sleep(float(argument))
    elif verb == "raise":
        import builtins  # start-up time: only an armed process needs it

        raise getattr(builtins, argument or "OSError")(f"failpoint {name}")
    return verb == "drop"


if os.environ.get("CORE_FAILPOINTS"):
    arm(os.environ["CORE_FAILPOINTS"])
