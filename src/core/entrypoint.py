"""The road begun inside a job: `python -c START` performs one attempt and records what became of it.

It reads a bundle (`core.bundle`) from its stdin, or from the file that `CORE_BUNDLE` names, and exits with 0 when the
step returned, 1 when it failed, 6 when it can't be begun, 7 when its end could not be recorded, 75 when the bundle is
not whole, 143 when it was told to end. The driver goes by what is recorded, and by the code only where nothing is.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from threading import Thread

from core.builtin.journal.writer import JournalWriter
from core.bundle import UNTOLD, job_of, life_of, overdue, unpack
from core.errors import ConfigurationError, CoreError, InfrastructureError, explain, masked
from core.execute import Bench, Result, error_data, perform
from core.faults import failpoint
from core.interrupt import Interruptible, Terminated
from core.mask import add_secret, learn
from core.model.event import EventKind
from core.model.states import Fault, StepState
from core.names import locate, name_of
from core.pact import Lent, mac_of
from core.ports.service_connector import Credentials
from core.pump import split
from core.record import Recorder
from core.source import imported
from core.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

    from core.bundle import Bundle
    from core.model.spec import StepSpec
    from core.plugins.registry import Registry
    from core.ports.artifact_store import ArtifactStore

FAILED, UNUSABLE, UNRECORDED, TOLD = 1, 6, 7, 143
"""Exit codes, beside 0."""
PATIENCE = 60.0
"""Seconds for which the end of an attempt is tried to be recorded while the store is away."""


def main() -> NoReturn:
    """The life of a job."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(TOLD))  # the first process of a container has no default
    try:
        bundle = unpack(read())
        parent = split(bundle.shipping.log_limit // 2)
    except CoreError as error:
        sys.stderr.write(f"{explain(error)}\n")
        code = UNTOLD if isinstance(error, InfrastructureError) else UNUSABLE
    else:
        code = _attempted(bundle, parent)
    sys.stdout.flush()
    os._exit(code)  # what a step left at work ends with it


def _attempted(bundle: Bundle, parent: int) -> int:
    try:
        return Attempt(bundle, parent).run()
    except CoreError as error:
        sys.stderr.write(f"{explain(error)}\n")
        return UNRECORDED if isinstance(error, InfrastructureError) else UNUSABLE


def read() -> bytes:
    """What this job is told."""
    path = os.environ.pop("CORE_BUNDLE", "")
    if path:
        with open(path, "rb") as file:
            return file.read()
    return sys.stdin.buffer.read()


class Witness(Recorder):
    """Records events of one attempt, in the epoch of the driver that launched it; its lease is the sign of its life."""

    def __init__(self, store: ArtifactStore, bundle: Bundle) -> None:
        shipping, journal = bundle.shipping, JournalWriter(store)
        super().__init__(
            journal,  # type: ignore[arg-type] # all that it asks for here
            bundle.run,
            project=shipping.project,
            actor=shipping.actor,
            heartbeat=shipping.heartbeat,
            tick=self._renew_credentials,
        )
        self._store = store
        self.holds = life_of(bundle.run, bundle.node.id, bundle.number)
        self._epoch = bundle.epoch
        self._recorded = True  # the driver recorded that it begins
        self._key = bytes.fromhex(bundle.key)

    @property
    def epoch(self) -> int:
        """The driver's."""
        return self._epoch

    def __exit__(self, *_: object) -> None:
        """Stop. The lease stays: the driver, which may be reading of it now, removes it."""
        self._lease = None
        super().__exit__()

    def emit(self, kind: str, step: str = "", attempt: int = 0, *, now: bool = False, **data: Any) -> None:
        """As the recorder's; signed, so that the driver knows whose word it is."""
        super().emit(kind, step, attempt, now=now, mac=mac_of(self._key, self.run, step, attempt, kind, data), **data)

    def _renew_credentials(self) -> None:
        """Take what the driver leaves while it can be read: a step may ask the store for nothing for hours."""
        if self._store.credentials is not None:
            with suppress(CoreError):  # who needs them is told
                self._store.credentials()

    def _hear(self) -> None:
        """Nothing: the driver hears of wishes, and tells."""

    def testify(self, step: str, attempt: int, data: dict[str, Any]) -> None:
        """Record the attempt's end; a store that is away is tried again for a while. Raises `StoreError`."""
        self.emit(EventKind.ATTEMPT_RETURNED, step, attempt, **data)
        until, pause = time.monotonic() + PATIENCE, 0.1
        while True:
            self.flush()
            if self._away is None:
                return
            if time.monotonic() > until:
                raise self._away
            time.sleep(pause)
            pause = min(2 * pause, 5.0)


class Attempt:
    """What a job is there for."""

    def __init__(self, bundle: Bundle, parent: int) -> None:
        """`parent` is the pid of the process without which it is nobody's."""
        self._bundle, self._parent = bundle, parent
        self._late = False  # its time is over

    def run(self) -> int:
        """Perform it, record what became of it, and give the exit code."""
        bundle = self._bundle
        learn(bundle.environment)
        for secret in (*bundle.secrets, *bundle.shipping.secrets):
            add_secret(secret)
        streams = Streams(os.dup(1), os.dup(2))
        registry, store = _open(bundle)
        with Witness(store, bundle) as witness:
            known = {digest for ref in self._refs() for digest in (ref.digest, *ref.parts)}
            bench = Bench(
                bundle.run,
                bundle.pipeline,
                witness.emit,
                streams,  # type: ignore[arg-type]
                store,
                registry.materializers(),
                known.__contains__,
                bundle.inline_limit,
            )
            result = self._perform(bench, witness)
            witness.testify(bundle.node.id, bundle.number, testimony(result))
            failpoint("job.reported")
        streams.flush()
        if result.state is StepState.COMPLETED:
            return 0
        return TOLD if result.state is StepState.PREEMPTED else FAILED

    def _perform(self, bench: Bench, witness: Witness) -> Result:
        bundle = self._bundle
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        interrupts = Interruptible(0.9 * bundle.shipping.grace)
        try:
            with interrupts:
                witness.interrupt = interrupts.cancel
                self._watch(bundle.deadline, bundle.shipping.grace)
                result = perform(bench, bundle.task(spec_of(bundle)))
                interrupts.hold()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # its end is being recorded
                witness.check()
        except CoreError as error:
            fault = Fault.INFRASTRUCTURE if isinstance(error, InfrastructureError) else Fault.USER
            return Result(StepState.FAILED, {}, error, fault)
        except KeyboardInterrupt as error:
            result = Result(StepState.CANCELLED, {}, error)
        if isinstance(result.error, Terminated) and self._late:
            return result._replace(state=StepState.FAILED, error=overdue(bundle.node.id), fault=Fault.USER)
        if isinstance(result.error, Terminated):
            return result._replace(state=StepState.PREEMPTED, fault=Fault.INFRASTRUCTURE)
        return result

    def _watch(self, deadline: float, grace: float) -> None:
        """End this process when its time is over, whether the driver lives or not, or its parent was killed."""

        def watch() -> None:
            while (left := deadline - time.time()) > 0 and os.getppid() == self._parent:
                time.sleep(min(left, 1.0))
            self._late = deadline <= time.time()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(grace)
            os._exit(TOLD)

        Thread(target=watch, name="core-deadline", daemon=True).start()

    def _refs(self) -> list[Any]:
        refs = [ref for outputs in self._bundle.inputs.values() for ref in outputs.values()]
        return [*refs, self._bundle.checkpoint] if self._bundle.checkpoint else refs


def testimony(result: Result) -> dict[str, Any]:
    """What became of an attempt, as the plain data of its event."""
    error = result.error
    return {
        "state": str(result.state),
        "outputs": {name: ref.to_data() for name, ref in result.outputs.items()},
        "error": error_data(error) if error is not None else {},
        "kinds": [name_of(kind) for kind in type(error).__mro__] if error is not None else [],
        "fault": str(result.fault),
        "seconds": result.seconds,
    }


def spec_of(bundle: Bundle) -> StepSpec:
    """The step, found by its name in the code that is here."""
    try:
        spec: StepSpec = imported(bundle.step, bundle.roots).spec
    except (ImportError, AttributeError) as error:
        said = f"step {bundle.node.id!r} is not at {bundle.step!r} in this job: {masked(str(error))}"
        hint = "see which files the image holds: `.coreignore` may leave out its module"
        raise ConfigurationError(said, hint) from None
    return spec


def _open(bundle: Bundle) -> tuple[Registry, ArtifactStore]:
    """Plugins and the artifact store."""
    from core.plugins.registry import Registry  # after the streams stand: what a plugin prints is the attempt's

    registry = Registry()
    store: ArtifactStore = open_component(registry, "artifact_store", bundle.shipping.store)
    job = job_of(bundle.run, bundle.node.id, bundle.number)
    lend(store, bundle.credentials, job, bytes.fromhex(bundle.key))
    return registry, store


def open_component(registry: Registry, kind: str, entry: Mapping[str, Any]) -> Any:
    """A component that is told by its flavor and settings; what of them is secret is masked from now on."""
    for secret in entry["secrets"]:
        add_secret(secret)
    made = registry.flavor(kind, entry["flavor"])
    settings = entry["settings"]
    if settings is None or isinstance(settings, str):
        return made() if settings is None else made(settings)
    model = made.Settings
    model = locate(model) if isinstance(model, str) else model
    return made(model(**settings))


def lend(component: Any, credentials: Mapping[str, Any] | None, job: str = "", key: bytes = b"") -> None:
    """Let a component have credentials that were given for a while; a job with a key is left new ones in its store."""
    if credentials is not None:
        component.credentials = Lent(Credentials(**credentials), component, job, key)


if __name__ == "__main__":
    main()
