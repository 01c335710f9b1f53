"""Makes sure that every step has its image: looks first, builds what is missing, and says what it did and why."""

from __future__ import annotations

import re
import tempfile
from functools import cached_property
from hashlib import sha256
from time import perf_counter

from core.image.base import pinned
from core.image.files import select
from core.image.layer import write_layer
from core.image.made import Made, Part
from core.image.options import base_of, check, limit_of, merged
from core.image.project import FOLDER, commit_of, find_project
from core.image.recipe import complete, make_recipe
from core.image.remember import changes
from core.image.requirements import find_requirements
from core.image.wheel import package, package_of
from core.model.value import Value
from core.oci.media import to_json
from core.ports.image_builder import Code
from core.text import amount, duration, first_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from core.image.files import Selection
    from core.image.requirements import Requirements
    from core.image.wheel import Package
    from core.model.spec import ImageSettings, StepSpec
    from core.oci.image import Layer
    from core.ports.component import Component
    from core.ports.container_registry import ContainerRegistry
    from core.ports.image_builder import ImageBuilder, Recipe

SPOOL = 32 << 20
"""Bytes of a layer that wait in memory; more waits on disk."""
SHORT = 32
"""Digits of a key in a tag."""
_STEP = re.compile(r"(?:Step \d+/\d+ : |#\d+ \[[^\]]*\d+/\d+\] )(RUN .*|COPY .*)")


class Wish(Value):
    """What images are wanted for, and what makes them."""

    specs: Mapping[str, StepSpec]
    """Node id to its step: those that need an image."""
    pipeline: str
    image: ImageSettings | None
    """The pipeline's settings, beneath those of the steps."""
    registry: ContainerRegistry | None
    builder: ImageBuilder
    components: Sequence[Component]
    """What must work in the containers too."""
    home: str
    """Folder of core's state."""
    resolve: Callable[[Mapping[str, str], str], Mapping[str, str]]
    """Puts secrets in the place of references; its second argument begins a message."""
    run: str = ""
    """Id of the run that first wants them, for a label."""


def ensure_images(wish: Wish, say: Callable[[str], None]) -> list[Made]:
    """Every image that the steps need, made unless it is there; steps that need the same share one.

    `say` gets a line for each thing done. Raises `ConfigurationError` for what the user can mend, before anything is
    sent, and what registries and engines raise.
    """
    groups: dict[ImageSettings, list[str]] = {}
    for node, spec in wish.specs.items():
        settings = merged(wish.image, spec.options.image)
        check(settings, f"step {node!r}")
        frozen = settings._replace(
            environment=_Frozen(settings.environment), build_secrets=_Frozen(settings.build_secrets)
        )
        groups.setdefault(frozen, []).append(node)
    work = _Work(wish, say)
    try:
        return [work.image(settings, tuple(nodes)) for settings, nodes in groups.items()]
    finally:
        work.close()


class _Frozen(dict[str, str]):
    """A mapping that can be part of a key."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(sorted(self.items())))


class _Work:
    """The images of one run; what several need is found out once."""

    def __init__(self, wish: Wish, say: Callable[[str], None]) -> None:
        self.wish, self.say = wish, say
        self.project = find_project(wish.specs)
        self._layers: dict[tuple[object, ...], _Packed] = {}

    @cached_property
    def packages(self) -> list[Package]:
        """Core and the plugins of the components, as they are installed here."""
        names = {package_of(type(component).__module__) for component in self.wish.components} - {"core"}
        return [package(name) for name in ("core", *sorted(names))]

    @cached_property
    def commit(self) -> Mapping[str, str]:
        """What git says of the project."""
        return commit_of(self.project.root)

    def image(self, settings: ImageSettings, nodes: tuple[str, ...]) -> Made:
        """The image for `settings`."""
        if settings.skip_build:
            reference = str(pinned(base_of(settings), self.wish.registry))
            self.say(f"  image        given    {reference}, used as it is")
            return Made(reference, nodes, Part(base_of(settings), "given", "skip_build"))
        clock = _Clock()
        packed = self.packed(settings)
        requirements = self.requirements(settings)
        recipe, parts = make_recipe(settings, requirements, self.packages, self.project.root, self.wish.registry)
        code = self.code(packed)
        tag = f"code-{_key(recipe.key, code)[:SHORT]}"
        found = self.wish.builder.find(tag, self.wish.registry)
        if found:
            why = f"the same {len(packed.selection.files)} files, on the same environment"
            self._tell("image", "reused", why, clock)
            environment, top = Part(_name(recipe), "reused", "nothing that makes it changed"), Part(tag, "reused", why)
            return Made(found, nodes, environment, top, requirements.origin, packed.selection.left_out)
        base, environment = self.environment(recipe, parts, settings, requirements.origin)
        clock = _Clock()
        labels = {**code.labels, "core.run": self.wish.run} if self.wish.run else code.labels
        made = self.wish.builder.code(base, code._replace(labels=labels), tag, self.wish.registry)
        why = f"{len(packed.selection.files)} files, {amount(packed.layer.size)} packed"
        self._tell("code", "pushed", why, clock)
        for name in packed.selection.left_out:
            self.say(f"               left out {name}")
        top = Part(tag, "pushed", why, clock.seconds, packed.layer.size)
        return Made(made, nodes, environment, top, requirements.origin, packed.selection.left_out)

    def environment(
        self, recipe: Recipe, parts: Mapping[str, str], settings: ImageSettings, origin: str
    ) -> tuple[str, Part]:
        """The environment's reference, built unless somebody did before."""
        clock, tag = _Clock(), _name(recipe)
        found = self.wish.builder.find(tag, self.wish.registry)
        changed = changes(self.wish.home, self.project.root, parts)
        if found:
            why = "built before from the same base, requirements and packages"
            self._tell("environment", "reused", why, clock)
            return found, Part(tag, "reused", why, clock.seconds)
        why = f"{' and '.join(changed)} changed" if changed else "not built before"
        self.say(f"  environment  building {why}; requirements: {origin}")
        secrets = self.wish.resolve(settings.build_secrets, "build_secrets of the image settings")
        whole = complete(recipe, self.packages, secrets)
        built = self.wish.builder.environment(whole, tag, self.wish.registry, self._progress)
        self._tell("environment", "built", why, clock)
        return built, Part(tag, "built", why, clock.seconds)

    def packed(self, settings: ImageSettings) -> _Packed:
        """The files that travel, and the layer that they make."""
        wanted = settings.include, settings.ignore_file or "", limit_of(settings)
        if wanted not in self._layers:
            selection = select(self.project.root, *wanted)
            file = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115 - lives as long as the run's images are made
            layer = write_layer(selection.files, FOLDER, file)  # type: ignore[arg-type]
            self._layers[wanted] = _Packed(selection, layer, file)
        return self._layers[wanted]

    def requirements(self, settings: ImageSettings) -> Requirements:
        """Those of the project and of the components."""
        found = find_requirements(settings, self.project.root)
        needed = [line for component in self.wish.components for line in component.requirements()]
        return found._replace(text="\n".join(dict.fromkeys([*found.text.splitlines(), *needed])))

    def code(self, packed: _Packed) -> Code:
        """What goes on top of the environment, but for the run that wants it."""
        labels = {"core.pipeline": self.wish.pipeline, **{f"core.git.{k}": v for k, v in self.commit.items()}}
        layer = packed.layer
        return Code(
            *(layer.diff_id, layer.digest, layer.size, packed.file),
            environment=self.project.environment,
            labels=labels,
            workdir=self.project.folder,
        )

    def close(self) -> None:
        """Drop what was packed."""
        for packed in self._layers.values():
            packed.file.close()

    def _tell(self, what: str, action: str, why: str, clock: _Clock) -> None:
        self.say(f"  {what:<11}  {action:<7}  {why}  {duration(clock.seconds)}")

    def _progress(self, line: str) -> None:
        """Of what a build prints, the commands that it is at."""
        found = _STEP.match(line)
        if found:
            self.say(f"               {first_line(found[1])}")


class _Packed(Value):
    """The code of one selection of files."""

    selection: Selection
    layer: Layer
    file: Any


class _Clock:
    """Tells the seconds since it was made."""

    def __init__(self) -> None:
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        """Until now."""
        return perf_counter() - self._began


def _name(recipe: Recipe) -> str:
    """Tag of the environment."""
    return f"env-{recipe.key[:SHORT]}"


def _key(environment: str, code: Code) -> str:
    """What names the image in the registry for everybody who has the same environment and the same files."""
    about = [environment, code.diff_id, dict(code.environment), dict(code.labels), code.workdir]
    return sha256(to_json(about)).hexdigest()
