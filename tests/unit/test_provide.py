"""Which steps get an image, and what is said where none can be made or none is needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from core import ImageSettings, step
from core.builtin.image_builders.docker import DockerImageBuilder
from core.builtin.orchestrators.local import LocalOrchestrator
from core.errors import ConfigurationError
from core.provide import DRIVER, Order, build, make
from core.stack import Stack
from core.testing.artifact_store import MemoryArtifactStore

if TYPE_CHECKING:
    from core.model.spec import StepSpec


class Boxes(LocalOrchestrator):
    """Runs nothing; its jobs would want images."""

    name = "boxes"
    capabilities = frozenset()
    needs_image = True


@step
def plain() -> None:
    """Needs what all need."""


GPU = plain.with_options(image=ImageSettings(base_image="cuda:12"))
HERE = plain.with_options(runs_on="here")
SPECS: dict[str, StepSpec] = {"plain": plain.spec, "gpu": GPU.spec, "here": HERE.spec}


def order(**changes: object) -> Order:
    return Order("flow", None, SPECS, {"boxes": Boxes(), "here": LocalOrchestrator()})._replace(**changes)


def test_steps_that_run_in_containers_need_images():
    assert order().nodes() == {"boxes": ["plain", "gpu"]}
    assert order(reused=frozenset({"gpu"})).nodes() == {"boxes": ["plain"]}
    assert order(reused=frozenset({"gpu", "plain"})).nodes() == {}


def test_a_ready_image_of_the_orchestrator_is_for_those_that_ask_for_nothing():
    ready = Boxes()
    ready.image = "ready:1"
    where = {"boxes": ready, "here": LocalOrchestrator()}
    assert order(orchestrators=where).nodes() == {"boxes": ["gpu"]}
    assert order(orchestrators=where, image=ImageSettings()).nodes() == {"boxes": ["plain", "gpu"]}


class Means:
    """A stack without a registry."""

    home = "/nowhere"

    def __init__(self, orchestrator: LocalOrchestrator, registry: object = None) -> None:
        self.stack = Stack("mine", orchestrator, MemoryArtifactStore(), registry)  # type: ignore[arg-type]
        self.secrets: Any = SimpleNamespace(resolve=None)


def test_without_registry_and_engine_the_mend_is_told():
    with pytest.raises(ConfigurationError, match="stack 'mine' has no container registry to keep them in") as caught:
        build(Means(Boxes()), order(), print)  # type: ignore[arg-type]
    assert "core stack update mine -c NAME" in caught.value.hint


def test_images_that_another_engine_would_keep_are_refused_before_any_is_made(monkeypatch: pytest.MonkeyPatch):
    boxes = Boxes()
    boxes.engine = "tcp://there:2375"
    means, wanted = Means(boxes), order(orchestrators={"boxes": boxes, "here": LocalOrchestrator()})
    wishes: list[Any] = []
    monkeypatch.setattr("core.provide.ensure_images", lambda wish, _: wishes.append(wish) or [])
    means.stack.image_builder = DockerImageBuilder(host="tcp://other:2375")
    with pytest.raises(ConfigurationError, match=r"at tcp://other:2375, orchestrator .* at tcp://there:2375") as caught:
        build(means, wanted, print)  # type: ignore[arg-type]
    assert "core container-registry register" in caught.value.hint
    assert not wishes
    means.stack.image_builder = DockerImageBuilder()
    build(means, wanted, print)  # type: ignore[arg-type]
    assert wishes[0].builder.host == "tcp://there:2375"


def test_a_stack_without_containers_needs_no_images():
    here = {"default": LocalOrchestrator(), "here": LocalOrchestrator()}
    with pytest.raises(ConfigurationError, match="run on this machine with stack 'mine': it needs no images"):
        build(Means(LocalOrchestrator()), order(orchestrators=here), print)  # type: ignore[arg-type]


def test_a_driver_is_one_more_that_asks_for_nothing() -> None:
    """Its image is that of such steps; it gets one of its own where there are none."""
    wanted = order(driver=True)
    assert wanted.nodes() == {"boxes": ["plain", "gpu", DRIVER]}
    here, boxes, ready = LocalOrchestrator(), Boxes(), Boxes()
    ready.image = "ready:1"
    elsewhere = {name: spec for name, spec in SPECS.items() if name != "plain"}
    assert wanted._replace(specs=elsewhere).nodes() == {"boxes": ["gpu", DRIVER]}
    assert wanted._replace(specs=elsewhere, orchestrators={"boxes": ready, "here": here}).nodes() == {"boxes": ["gpu"]}
    assert wanted._replace(orchestrators={"default": here, "here": boxes}).nodes() == {"here": ["here"]}
    assert wanted.all_specs()[DRIVER].options == plain.spec.options


def test_a_driver_s_image_has_all_that_the_driver_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    wishes: list[Any] = []
    monkeypatch.setattr("core.provide.ensure_images", lambda wish, _: wishes.append(wish) or [])
    boxes, registry = Boxes(), SimpleNamespace(uri="registry.example.com")
    means, wanted = Means(boxes, registry), order(orchestrators={"boxes": boxes, "here": LocalOrchestrator()})
    for driver in (False, True):
        make(means, wanted._replace(driver=driver), wanted.nodes(), print)  # type: ignore[arg-type]
    steps, drivers = (wish.components for wish in wishes)
    assert steps == (means.stack.artifact_store,)
    assert drivers == (*steps, *wanted.orchestrators.values(), registry)
