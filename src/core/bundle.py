"""What a job is told of its attempt: plain data in one JSON text, written by the driver, read by the entrypoint."""

from __future__ import annotations

import json

from core.errors import ConfigurationError, InfrastructureError, StepTimeout
from core.execute import Task, environment_of
from core.model.artifact import ArtifactRef
from core.model.graph import node_data, node_of
from core.model.nothing import NOTHING
from core.model.plan import Action, Decision
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.execute import Bench, Outputs
    from core.model.graph import Node
    from core.model.spec import StepSpec

VERSION = 3
START = "from core.entrypoint import main; main()"
"""What the Python of a job runs: `-m` would look for the module first, for longer than core takes to begin."""
UNTOLD = 75
"""Exit code of a job that was told nothing, or only a part of it: its driver died. Launching it again mends that."""
LIFE = 7 * 86400.0
"""Seconds after which a job ends by itself, unless a step's `timeout` or a credential's life says less."""


class Shipping(Value):
    """What all jobs of a run are told. Plain data."""

    store: Mapping[str, Any]
    """Flavor and settings of the artifact store; beside the artifacts jobs write their events, in its journal."""
    project: str
    actor: str
    heartbeat: float
    """Seconds between two signs of life."""
    grace: float
    """Seconds that a step has to end after it was told to."""
    log_limit: int
    """Bytes kept of what one attempt prints."""
    folders: tuple[str, ...] = ()
    """Folders of the driver's machine that jobs must see: those of a local store."""
    secrets: tuple[str, ...] = ()
    """What of the environment that orchestrators give to jobs must never be shown."""


class Bundle(Value):
    """One attempt, as its job sees it."""

    run: str
    pipeline: str
    epoch: int
    """Fencing epoch of the driver that launched it."""
    node: Node
    step: str
    """`module:qualname` of the step."""
    roots: tuple[str, ...]
    """Folders from which the module may be imported; those that are not there are passed over."""
    number: int
    """1 for the first try."""
    inputs: Mapping[str, Outputs]
    """Outputs that the function takes, by node id."""
    checkpoint: ArtifactRef | None
    environment: Mapping[str, str]
    """Variables that the step declares, secrets filled in."""
    secrets: tuple[str, ...]
    """What of that must never be shown."""
    materializers: Mapping[str, str]
    """Output name to the materializer that the step declares."""
    inline_limit: int
    deadline: float
    """Seconds since 1970 at which it ends by itself."""
    credentials: Mapping[str, Any] | None
    """What opens the artifact store for a while: the fields of `Credentials`; None where it needs none."""
    key: str
    """What signs its reports, and opens credentials that come later (see `core.pact`); in hex."""
    shipping: Shipping

    def task(self, spec: StepSpec) -> Task:
        """The attempt, with the step that was found by its name."""
        options = type(spec.options)(environment=self.environment, materializers=self.materializers)
        decision = Decision(Action.RUN, "")  # the driver made it and recorded it; nothing in an attempt asks for it
        return Task(self.node, spec._replace(options=options), decision, self.number, self.inputs, self.checkpoint)


def bundle_of(bench: Bench, task: Task, shipping: Shipping, epoch: int, deadline: float, key: bytes) -> Bundle:
    """What the job of `task` is told. Raises what keeps its secrets and the store's credentials from being had."""
    given = bench.store.credentials() if bench.store.credentials is not None else None
    spec, options = task.spec, task.spec.options
    environment = environment_of(bench, task)
    return Bundle(
        run=bench.run,
        pipeline=bench.pipeline,
        epoch=epoch,
        node=task.node,
        step=spec.id,
        roots=(spec.source_root,),
        number=task.number,
        inputs=task.needed(),
        checkpoint=task.checkpoint,
        environment=environment,
        secrets=tuple(value for name, value in environment.items() if value and value != options.environment[name]),
        materializers=options.materializers,
        inline_limit=bench.inline_limit,
        deadline=deadline,
        credentials=given.to_data() if given is not None else None,
        key=key.hex(),
        shipping=shipping,
    )


def pack(bundle: Bundle) -> bytes:
    """The bundle as JSON in UTF-8."""
    data = bundle._asdict()
    data["version"] = VERSION
    data["node"] = node_data(bundle.node)
    data["inputs"] = {
        node: {name: ref.to_data() for name, ref in outputs.items()} for node, outputs in bundle.inputs.items()
    }
    data["checkpoint"] = bundle.checkpoint.to_data() if bundle.checkpoint else None
    data["environment"], data["materializers"] = dict(bundle.environment), dict(bundle.materializers)
    shipping = bundle.shipping._asdict()
    data["shipping"] = {**shipping, "store": dict(shipping["store"])}
    return json.dumps(data).encode()


def unpack(data: bytes) -> Bundle:
    """The bundle that `pack` wrote; raises `InfrastructureError` when it is cut, and `ConfigurationError`."""
    try:
        fields: dict[str, Any] = json.loads(data)
    except ValueError:
        said = f"this job was told only a part of what it should do ({len(data)} bytes): its driver ended meanwhile"
        raise InfrastructureError(said, "who goes on with the run launches it anew") from None
    version = fields.pop("version", None)
    if version != VERSION:
        hint = "core is another version in the image than on the client: build the image again"
        raise ConfigurationError(f"this core reads bundles of version {VERSION}, not {version!r}", hint)
    inputs, kept, shipping = fields["inputs"], fields["checkpoint"], fields["shipping"]
    return Bundle(**fields)._replace(
        node=node_of(fields["node"]),
        inputs={
            node: {name: ArtifactRef.from_data(ref) for name, ref in outputs.items()}
            for node, outputs in inputs.items()
        },
        checkpoint=ArtifactRef.from_data(kept) if kept else None,
        roots=tuple(fields["roots"]),
        secrets=tuple(fields["secrets"]),
        environment=fields["environment"] or NOTHING,
        shipping=Shipping(**shipping)._replace(folders=tuple(shipping["folders"]), secrets=tuple(shipping["secrets"])),
    )


def job_of(run: str, step: str, attempt: int) -> str:
    """Id of the job that an attempt is."""
    return f"{run}/{step}/{attempt}"


def life_of(run: str, step: str, attempt: int) -> str:
    """Name of the lease that an attempt in a job holds while it lives."""
    return f"attempt:{run}/{step}/{attempt}"


def overdue(step: str, reason: str = "") -> StepTimeout:
    """Its job ended itself, because it had all the time that a job may have."""
    said = f"step {step!r} ran out of time: its job's deadline was over{reason}"
    return StepTimeout(said, "give it a @step(timeout=...) that is long enough, or let it keep checkpoints")
