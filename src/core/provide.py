"""4b. Images of a run: which steps need one, who makes them, where they are kept when the stack has no registry."""

from __future__ import annotations

import os
from contextlib import suppress

from core.errors import ConfigurationError
from core.image.ensure import Wish, ensure_images
from core.image.made import Made, Part
from core.image.voice import Voice
from core.model.spec import StepOptions
from core.model.value import Value
from core.record import run_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Protocol

    from core.model.spec import ImageSettings, StepSpec
    from core.ports.component import Component
    from core.ports.image_builder import ImageBuilder
    from core.ports.observer import Observer
    from core.ports.orchestrator import Orchestrator
    from core.schedule import Conditions
    from core.secrets import Secrets
    from core.stack import Stack

    class Means(Protocol):
        """What images are made with; a `Workspace` is one."""

        @property
        def home(self) -> str:
            """Folder of all state."""

        @property
        def secrets(self) -> Secrets:
            """Fills references to secrets in."""

        @property
        def stack(self) -> Stack:
            """The active stack."""


_REGISTER = "`core container-registry register NAME -f default --uri=HOST`, then `core stack update {stack} -c NAME`"
DRIVER = "(driver)"
"""In the place of a node id: the driver of a detached run. Its image is what a step gets that asks for nothing."""


class Order(Value):
    """What images are wanted for."""

    pipeline: str
    """Its name."""
    image: ImageSettings | None
    """The pipeline's settings, beneath those of the steps."""
    specs: Mapping[str, StepSpec]
    """Every step, by node id."""
    orchestrators: Mapping[str, Orchestrator]
    """By name; the stack's stands first."""
    reused: frozenset[str] = frozenset()
    """Nodes that do not run."""
    run: str = ""
    """Id of the run that goes on; empty for a new one."""
    past: Sequence[Mapping[str, Any]] = ()
    """What that one recorded of its images."""
    driver: bool = False
    """Whether the run's driver is one more that needs an image, on the stack's orchestrator."""

    def all_specs(self) -> Mapping[str, StepSpec]:
        """Every step, by node id, and the driver as one."""
        if not (self.driver and self.specs):
            return self.specs
        return {**self.specs, DRIVER: next(iter(self.specs.values()))._replace(options=StepOptions())}

    def nodes(self, *, ready: bool = False) -> dict[str, list[str]]:
        """Nodes that need an image, by the orchestrator that runs them; those that run in a `ready` one of its own."""
        default, found = next(iter(self.orchestrators)), dict[str, list[str]]()
        for node, spec in self.all_specs().items():
            name = spec.options.runs_on or default
            one = self.orchestrators[name]
            own = bool(one.image) and self.image is None and spec.options.image is None
            if one.needs_image and node not in self.reused and own is ready:
                found.setdefault(name, []).append(node)
        return found

    def ready(self) -> list[Made]:
        """The images that orchestrators have of their own, as they are now, or were when the run that goes on began."""
        before = {one.get("key"): one["reference"] for one in self.past}
        found = []
        for name, nodes in self.nodes(ready=True).items():
            one = self.orchestrators[name]
            key = f"{name} {one.image}"
            reference = one.pinned(one.image, before.get(key, ""))
            part = Part(one.image, "given", f"of orchestrator {name!r}")
            found.append(Made(reference, tuple(nodes), part, asked=one.image, key=key))
        return found


def provide(means: Means, order: Order, conditions: Conditions) -> Conditions:
    """`conditions` of a run with the images that its steps need, made unless they are there.

    Raises before anything ran, as `make` does.
    """
    nodes, ready = order.nodes(), order.ready()
    if not nodes:
        return _with(conditions, ready) if ready else conditions
    run = order.run or run_id()
    observers = conditions.observers(run)
    try:
        made = make(means, order._replace(run=run), nodes, _teller(observers))
    except BaseException:
        for observer in observers:
            with suppress(Exception):  # border of a plugin
                observer.close()
        raise
    return _with(conditions._replace(run=run, observers=lambda _: observers), [*made, *ready])


def _with(conditions: Conditions, made: Sequence[Made]) -> Conditions:
    images = {node: one.reference for one in made for node in one.steps}
    return conditions._replace(images=images, record={**conditions.record, "images": [one.to_record() for one in made]})


def build(means: Means, order: Order, tell: Callable[[str], None]) -> list[Made]:
    """Make the images of every step, without a run; raises `ConfigurationError` where none needs one."""
    nodes = order.nodes()
    if not nodes and means.stack.container_registry is not None:
        nodes = {next(iter(order.orchestrators)): list(order.specs)}  # for another stack with the same registry
    if not nodes:
        first = next(iter(order.orchestrators.values()))
        where = f"in image {first.image!r}" if first.image else "on this machine"
        raise ConfigurationError(
            f"steps of pipeline {order.pipeline!r} run {where} with stack {means.stack.name!r}: it needs no images",
            "choose a stack with --stack whose orchestrator runs containers, or which has a container registry",
        )
    return make(means, order, nodes, tell)


def make(means: Means, order: Order, nodes: Mapping[str, Sequence[str]], tell: Callable[[str], None]) -> list[Made]:
    """Make the images of `nodes`, given by orchestrator; `tell` gets a line for each thing that is done.

    Raises `ConfigurationError` for what the user can mend, and what registries and engines raise.
    """
    stack, specs = means.stack, order.all_specs()
    made: list[Made] = []
    with Voice(tell) as voice:
        for group, builder in list(_groups(stack, order.orchestrators, nodes)):  # all are looked at before one is made
            try:
                wish = Wish(
                    specs={node: specs[node] for node in group},
                    pipeline=order.pipeline,
                    image=order.image,
                    registry=stack.container_registry,
                    builder=builder,
                    components=tuple(_at_work(stack, order)),
                    home=means.home,
                    resolve=means.secrets.resolve,
                    run=order.run,
                    past=order.past,
                )
                made += ensure_images(wish, voice)
            finally:
                if builder is not stack.image_builder:
                    builder.close()
    return made


def _at_work(stack: Stack, order: Order) -> Iterator[Component]:
    """What must work in the images: steps need the store, a driver all that launches them."""
    yield stack.artifact_store
    if order.driver:
        yield from order.orchestrators.values()
        if stack.container_registry is not None:
            yield stack.container_registry


def _groups(
    stack: Stack, orchestrators: Mapping[str, Orchestrator], nodes: Mapping[str, Sequence[str]]
) -> Iterator[tuple[list[str], ImageBuilder]]:
    """Nodes whose images lie in one place, and who makes those: one for all where the stack has a registry."""
    if stack.container_registry is not None:
        engine = next((orchestrators[name].engine for name in nodes if orchestrators[name].engine), "")
        builder = _builder(stack, engine)
        builder.settle(engine)
        yield [node for group in nodes.values() for node in group], builder
        return
    for name, group in nodes.items():
        one = orchestrators[name]
        if not one.engine:
            raise ConfigurationError(
                f"orchestrator {name!r} runs steps in images, and stack {stack.name!r} has no container registry "
                "to keep them in",
                _REGISTER.format(stack=stack.name),
            )
        builder = _builder(stack, one.engine)
        place = builder.settle(one.engine)
        if place and _socket(place) != _socket(one.engine):
            raise ConfigurationError(
                f"image builder {builder.name!r} leaves images on the Docker engine at {place}, orchestrator {name!r} "
                f"runs them on that at {one.engine}, and stack {stack.name!r} has no container registry between them",
                _REGISTER.format(stack=stack.name),
            )
        yield list(group), builder


def _socket(address: str) -> str:
    """An engine's address, one for the names that a socket has."""
    return os.path.realpath(address.removeprefix("unix://")) if address.startswith("unix://") else address


def _builder(stack: Stack, engine: str) -> ImageBuilder:
    """The stack's image builder; by default code goes into the registry, or stays on the `engine` without one."""
    given: ImageBuilder | None = stack.image_builder
    if given is not None:
        return given
    if stack.container_registry is not None:
        from core.builtin.image_builders.registry import RegistryImageBuilder  # start-up time: few runs make images

        return RegistryImageBuilder(host=engine)
    from core.builtin.image_builders.docker import DockerImageBuilder  # start-up time: the same

    return DockerImageBuilder(host=engine)


def _teller(observers: Sequence[Observer]) -> Callable[[str], None]:
    def tell(line: str) -> None:
        for observer in observers:
            with suppress(Exception):  # border of a plugin: the run's own record sets it aside
                observer.preparing(line)

    return tell
