"""What a decorated function declares: inputs, outputs, options. `annotation` fields hold runtime types."""

from __future__ import annotations

from core.model.nothing import NOTHING
from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

MISSING = type("Missing", (), {"__repr__": lambda _: "<no default>", "__slots__": ()})()
"""Stands for "no default": `None` is a default like any other."""


INFRASTRUCTURE = 2
"""Further tries after failures of the infrastructure, for a step that does not say how many."""
MAP_LIMIT = 1000
"""Calls that one `map` over another step's output may make, for a step that does not say how many."""
MAX_WORKERS = 1000
"""Worker processes that a run may ask for; more would be a slip of the keyboard."""
MAX_ITEMS = 100_000
"""Calls that any one such `map` may make: each item is an artifact of its own."""


class Retry(Value):
    """How often and when a failed step is tried again."""

    attempts: int = 3
    """Tries in all, the first one included."""
    delay: float = 1.0
    """Seconds before the second try."""
    backoff: float = 2.0
    """Factor by which the delay grows from try to try."""
    jitter: float = 0.1
    """Share of the delay that is drawn at random, 0 to 1."""
    on: tuple[type[BaseException], ...] = (Exception,)
    """Exceptions that are worth another try; any other fails the step at once."""
    infrastructure: int = INFRASTRUCTURE
    """Further tries after failures that are not the step's own: a killed process, a lost machine, a store away."""


class Resources(Value):
    """What a step needs of the machine it runs on."""

    cpus: float | None = None
    """Virtual CPUs."""
    memory: str | None = None
    """Memory with its unit, such as `"16GiB"`."""
    accelerators: str | None = None
    """Kind and count, such as `"A100:1"`."""
    disk: str | None = None
    """Disk with its unit, such as `"100GiB"`."""


class ImageSettings(Value):
    """What the container image of a step needs. What a step does not say, its pipeline's settings say."""

    base_image: str | None = None
    """Image to build on; by default a slim Python of the client's version."""
    python_version: str | None = None
    """Such as `"3.12"`; by default the client's. With a base image of your own: what it must have."""
    requirements: Sequence[str] | str | None = None
    """pip requirements, or the path of a file with them; by default the project's `uv.lock`, `pyproject.toml` or
    `requirements.txt`."""
    apt_packages: Sequence[str] = ()
    """Debian packages."""
    environment: Mapping[str, str] = NOTHING
    """Environment variables set in the image; no secrets: everybody who can pull it reads them."""
    include: Sequence[str] = ()
    """Files that travel though the ignore file leaves them out, as patterns of `.gitignore`."""
    ignore_file: str | None = None
    """File of patterns to use in place of `.coreignore` and `.gitignore`."""
    code_limit: str | None = None
    """Size of the project's files above which they are refused, with its unit; by default 500 MB."""
    build_secrets: Mapping[str, str] = NOTHING
    """Name to a reference `{{secret.key}}`: while the environment is built, `/run/secrets/NAME` holds it."""
    platform: str | None = None
    """Such as `linux/arm64`; by default this machine's processor, on Linux."""
    dockerfile: str | None = None
    """A Dockerfile of your own that makes the environment, in place of `base_image`."""
    build_context: str | None = None
    """Folder that it may copy from; by default none, so that changed code builds nothing."""
    skip_build: bool | None = None
    """Whether `base_image` holds all that steps need, code and core included: then nothing is built. A step's False
    undoes its pipeline's True."""


class StepOptions(Value):
    """Options of one step; each may be set by `@step(...)` and changed by `step.with_options(...)`."""

    name: str | None = None
    """Id of the node in place of the function's name."""
    cache: bool = True
    """Whether an earlier result may be reused."""
    cache_expires: float | None = None
    """Seconds after which an earlier result is too old to be reused."""
    retry: Retry | None = None
    """Tries again after a failure."""
    timeout: float | None = None
    """Seconds after which an attempt is ended."""
    resources: Resources | None = None
    """What the step needs of its machine."""
    image: ImageSettings | None = None
    """What the step needs in its container."""
    runs_on: str | None = None
    """Orchestrator component that runs this step instead of the stack's."""
    tags: tuple[str, ...] = ()
    """Words to find the step by."""
    environment: Mapping[str, str] = NOTHING
    """Environment variables set while the step runs; part of its cache key."""
    materializers: Mapping[str, str] = NOTHING
    """Output name to the name of the materializer that must store it."""
    map_limit: int = MAP_LIMIT
    """Calls that one `step.map(output)` may make when the length is known only at run time."""
    on_success: Callable[..., object] | None = None
    """Called with the step's context after it completed."""
    on_failure: Callable[..., object] | None = None
    """Called with the step's context and the exception after the last try failed."""


class InputSpec(Value):
    """One parameter of a step function."""

    name: str
    annotation: Any
    """Runtime type, `Annotated` kept."""
    default: Any = MISSING
    """The function's default, or `MISSING`."""
    variadic: str = ""
    """`"*"` for `*args`, `"**"` for `**kwargs`, else empty."""
    positional_only: bool = False
    """Declared before a `/`."""
    keyword_only: bool = False
    """Declared after a `*`."""


class OutputSpec(Value):
    """One output of a step function."""

    name: str
    annotation: Any
    """Runtime type, without the `Annotated` that names the output."""


class Signature(Value):
    """Inputs and outputs of a step, read from its annotations."""

    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    shape: str
    """How the return value splits into outputs: `none`, `single`, `tuple` or `fields` (NamedTuple, dataclass)."""
    container: type | None = None
    """The NamedTuple or dataclass of a `fields` shape."""


class StepSpec(Value):
    """A step function with what it declares."""

    id: str
    """`module:qualname`; what is defined in `__main__` has its file's module name."""
    name: str
    """The function's name: base of node ids."""
    function: Callable[..., Any]
    source_root: str
    """Folder from which `module` is importable."""
    travels: str = ""
    """Why the step cannot run in another process; empty when it can."""
    options: StepOptions = StepOptions()


class PipelineOptions(Value):
    """Options of a pipeline; each may be set by `@pipeline(...)` and changed by `pipeline.with_options(...)`."""

    name: str | None = None
    """Name in place of the function's."""
    tags: tuple[str, ...] = ()
    """Words to find its runs by."""
    cache: bool = True
    """Whether its steps may reuse earlier results."""
    fail_fast: bool = False
    """Whether the first failure also stops the branches that do not depend on it."""
    workers: int | None = None
    """Processes that run its steps side by side, 0 for one a core; None as the settings say."""
    image: ImageSettings | None = None
    """What its steps need in their containers."""


class RunOptions(Value):
    """What one call changes, such as the command line's flags."""

    no_cache: bool | frozenset[str] = False
    """True: reuse nothing; or the names of the steps that must run."""
    fail_fast: bool = False
    """Whether the first failure also stops the branches that do not depend on it."""
    steps: Mapping[str, Mapping[str, Any]] = NOTHING
    """Options by step name, stronger than those in the code."""
    lenient: bool = False
    """Whether text parameters are turned into what the annotations ask for (command line, YAML)."""
    tags: tuple[str, ...] = ()
    """Words to find this run by, beside the pipeline's."""
    workers: int | None = None
    """Processes that run steps side by side; 1 runs them in the driver's own process; None as the settings say."""
