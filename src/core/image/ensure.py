"""Makes sure that every step has its image: looks first, builds what is missing, and says what it did and why."""

from __future__ import annotations

import re
import tempfile
from functools import cached_property
from hashlib import sha256
from time import perf_counter

from core.beside import Beside
from core.errors import CoreError, InfrastructureError
from core.image.base import pinned
from core.image.files import select
from core.image.layer import write_layer
from core.image.made import Made, Part
from core.image.options import base_of, based, check, limit_of, merged
from core.image.project import FOLDER, commit_of, find_project
from core.image.recipe import complete, make_recipe, plainly
from core.image.remember import Memory, settled
from core.image.requirements import find_requirements
from core.image.wheel import package, package_of
from core.model.value import Value
from core.oci.media import to_json
from core.ports.image_builder import Code
from core.text import amount, first_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from core.image.files import Selection
    from core.image.project import Project
    from core.image.requirements import Requirements
    from core.image.voice import Voice
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
LARGE = 50_000_000
"""Bytes of a project's files from which on it is said how many there are before they are packed."""
_STEP = re.compile(r"(?:Step \d+/\d+ : |#\d+ \[[^\]]*\d+/\d+\] )((?:RUN|COPY) .*)")
_PIP = re.compile(r"(?:#\d+ [\d.]+ )?\s*((?:Collecting|Downloading|Building wheel|Installing collected) .*)")


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
    past: Sequence[Mapping[str, Any]] = ()
    """What the run that goes on recorded of its images: tags are not asked for again."""


def ensure_images(wish: Wish, voice: Voice) -> list[Made]:
    """Every image that the steps need, made unless it is there; steps that need the same share one.

    Raises `ConfigurationError` for what the user can mend, before anything is sent, and what registries and engines
    raise.
    """
    groups: list[tuple[ImageSettings, list[str]]] = []
    for node, spec in wish.specs.items():
        settings = merged(wish.image, spec.options.image)
        settings = based(check(settings, f"step {node!r}"), wish.builder.base_image)
        same = next((nodes for known, nodes in groups if known == settings), None)
        if same is None:
            groups.append((settings, [node]))
        else:
            same.append(node)
    work = _Work(wish, voice)
    try:
        return [work.image(settings, tuple(nodes)) for settings, nodes in groups]
    finally:
        work.close()


class _Work:
    """The images of one run; what several need is found out once."""

    def __init__(self, wish: Wish, voice: Voice) -> None:
        self.wish, self.voice = wish, voice
        self.memory = Memory(wish.home)
        self._layers: dict[tuple[object, ...], _Packed] = {}
        self._bases: dict[str, str] = {one["asked"]: one["base"] for one in wish.past if one.get("base")}
        self._past: dict[str, str] = {one["key"]: one["reference"] for one in wish.past if one.get("key")}

    @cached_property
    def project(self) -> Project:
        """The project that the steps belong to."""
        return find_project(self.wish.specs)

    @cached_property
    def packages(self) -> list[Package]:
        """Core and the plugins of the components, as they are installed here."""
        modules = {type(component).__module__.partition(".")[0] for component in self.wish.components} - {"core"}
        plugins = sorted((package_of(module), module) for module in modules)
        return [package(name, self.memory, module) for name, module in (("core", "core"), *plugins)]

    @cached_property
    def commit(self) -> Mapping[str, str]:
        """What git says of the project."""
        return commit_of(self.project.root)

    def image(self, settings: ImageSettings, nodes: tuple[str, ...]) -> Made:
        """The image for `settings`."""
        clock, asked = _Clock(), base_of(settings)
        if settings.skip_build:
            base = self.pin(asked)
            made = Made(base, nodes, Part(asked, "given", "used as it is"), asked=asked, base=base, key=base)
        else:
            made = self._made(settings, nodes)._replace(asked=asked)
        self.voice.doing("")
        made = made._replace(seconds=clock.seconds)
        self.voice.say("image", made.line())
        for name in made.left_out:
            self.voice.say("", f"left out {name}")
        return made

    def _made(self, settings: ImageSettings, nodes: tuple[str, ...]) -> Made:
        """The image of an environment and the code."""
        _ = self.project  # what is wrong with it is told before anybody is asked
        ahead: list[Beside[Any]] = [Beside(lambda: self.commit)]
        ahead += [] if settings.dockerfile else [Beside(lambda: self.pin(base_of(settings)))]
        packed = self.packed(settings)
        requirements = self.requirements(settings)

        def looked() -> tuple[Recipe, Mapping[str, str], str]:
            for each in ahead:
                each.result()
            recipe, parts = make_recipe(settings, requirements, self.packages, self.project.root, self.pin)
            return recipe, parts, "" if packed.known else self.find(_name(recipe))  # of known files all may be there

        looking = Beside(looked)
        if not packed.known:
            self.pack(packed)
        recipe, parts, below = looking.result()
        key, tag = self.names(recipe, packed.known)
        found = packed.known and (self.recorded(key) or self.find(tag))
        if not found and packed.known != self.pack(packed).diff_id:
            key, tag = self.names(recipe, self.pack(packed).diff_id)
            found = self.recorded(key) or self.find(tag)
        if found:
            why = f"the same {_files(packed)}"
            environment, top = Part(_name(recipe), "reused", "unchanged"), Part(tag, "reused", why)
        else:
            name = f"{self.project.root} {self.wish.pipeline} {nodes[0]}"
            changed = self.memory.changes(name, parts)
            base, environment = self.environment(recipe, below, changed, settings, requirements.origin)
            self.memory.note(name, parts)
            found, top = self.top(base, tag, packed)
        left_out = packed.selection.left_out
        return Made(found, nodes, environment, top, requirements.origin, left_out, base=recipe.base, key=key)

    def environment(
        self, recipe: Recipe, found: str, changed: Sequence[str], settings: ImageSettings, origin: str
    ) -> tuple[str, Part]:
        """The environment's reference, built unless it is `found` or was built before; `changed` are its new parts."""
        clock, tag = _Clock(), _name(recipe)
        found = found or self.find(tag)
        if found:
            return found, Part(tag, "reused", "unchanged" if not changed else "built before", clock.seconds)
        why = f"{' and '.join(changed)} changed" if changed else "not built before"
        self.voice.say("environment", f"building: {why}; requirements from {origin}")
        self.voice.doing("building the environment image")
        secrets = self.wish.resolve(settings.build_secrets, "build_secrets of the image settings")
        whole = complete(recipe, self.packages, secrets)
        built = self.wish.builder.environment(whole, tag, self.wish.registry, self._progress)
        return built, Part(tag, "built", why, clock.seconds)

    def top(self, base: str, tag: str, packed: _Packed) -> tuple[str, Part]:
        """The reference of the image with the code on top of `base`."""
        clock, registry, layer = _Clock(), self.wish.registry, self.pack(packed)
        size = layer.size
        where = f"sending it to {registry.uri}" if registry is not None else "adding it on the engine"
        self.voice.doing(f"code: {_files(packed)}, {amount(size)} packed; {where}")
        labels = {**self.labels, "core.run": self.wish.run} if self.wish.run else self.labels
        code = Code(
            *(layer.diff_id, layer.digest, layer.size, packed.file),
            environment=self.project.environment,
            labels=labels,
            workdir=self.project.folder,
            notes=self.memory,
        )
        made = self.wish.builder.code(base, code, tag, registry)
        part = Part(tag, "pushed" if registry is not None else "added", _files(packed), clock.seconds, size)
        return made, part

    def recorded(self, key: str) -> str:
        """What the run that goes on recorded under `key`, unless somebody has removed it since."""
        past = self._past.get(key, "")
        try:
            if not past or self.wish.builder.has(past, self.wish.registry):
                return past
        except CoreError:
            return past  # away, or nobody may ask: who runs it will see
        self.voice.say("image", f"{past}, which the run had, is not there any more")
        return ""

    def find(self, tag: str) -> str:
        """The image that has `tag` by digest; empty when there is none."""
        registry = self.wish.registry
        self.voice.doing(f"looking for {tag} {f'in {registry.uri}' if registry is not None else 'on the engine'}")
        return self.wish.builder.find(tag, registry)

    def pin(self, name: str) -> str:
        """An image by digest; each tag is asked for once. While its registry is away, it is what it was before."""
        if name not in self._bases:
            self.voice.doing(f"asking for the digest of {name}")
            registry = self.wish.registry
            try:
                found = self.wish.builder.base(name, registry) or str(pinned(name, registry))
            except InfrastructureError as error:
                found = self.memory.known("bases", name, "")
                if not found:
                    raise
                self.voice.say("base", f"{name} as it was last seen, for {error.message}")
            self.memory.keep("bases", name, "", found)
            self._bases[name] = found
        return self._bases[name]

    def packed(self, settings: ImageSettings) -> _Packed:
        """The files that travel; they are read only where nobody knows what they make."""
        wanted = settings.include, settings.ignore_file or "", limit_of(settings)
        if wanted not in self._layers:
            self.voice.doing(f"reading the files of {self.project.root}")
            selection = select(self.project.root, *wanted)
            if selection.size > LARGE:
                largest = max(selection.files, key=lambda each: each.size)
                text = f"{len(selection.files)} files, {amount(selection.size)}; "
                text += f"the largest is {largest.name!r} ({amount(largest.size)}); .coreignore leaves files out"
                self.voice.say("code", text)
            stamp = selection.stamp
            known = self.memory.known("layers", f"{self.project.root} {wanted}", stamp)
            calm = settled(time for each in selection.files for time in each.stamp[1:])
            self._layers[wanted] = _Packed(selection, f"{self.project.root} {wanted}", stamp, known, calm=calm)
        return self._layers[wanted]

    def pack(self, packed: _Packed) -> Layer:
        """The layer that the files make."""
        if packed.layer is None:
            self.voice.doing(f"packing {_files(packed)}, {amount(packed.selection.size)}")
            packed.file = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115 - lives as long as images are made
            packed.layer = write_layer(packed.selection.files, FOLDER, packed.file)
            if packed.calm:
                self.memory.keep("layers", packed.name, packed.stamp, packed.layer.diff_id)
        return packed.layer

    def requirements(self, settings: ImageSettings) -> Requirements:
        """Those of the project and of the components."""
        found = find_requirements(settings, self.project.root)
        needed = [line for component in self.wish.components for line in component.requirements()]
        return found._replace(text="\n".join(dict.fromkeys([*found.text.splitlines(), *needed])))

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Where the code is from."""
        return {"core.pipeline": self.wish.pipeline, **{f"core.git.{k}": v for k, v in self.commit.items()}}

    def names(self, recipe: Recipe, diff_id: str) -> tuple[str, str]:
        """Key of the image for who knows it, and its tag, for everybody who has the same environment and files."""
        about = [recipe.key, diff_id, dict(self.project.environment), self.project.folder]
        key, named = (sha256(to_json(each)).hexdigest() for each in (about, [*about, dict(self.labels)]))
        return key, f"code-{named[:SHORT]}"

    def close(self) -> None:
        """Drop what was packed, and keep what was found out."""
        self.memory.save()
        for packed in self._layers.values():
            if packed.file is not None:
                packed.file.close()

    def _progress(self, line: str) -> None:
        """Of what a build prints, the commands that it is at."""
        found = _STEP.match(line)
        if found:
            self.voice.doing(plainly(found[1]))
        elif pip := _PIP.match(line):
            self.voice.doing(first_line(pip[1]))


class _Packed:
    """The code of one selection of files."""

    def __init__(self, selection: Selection, name: str, stamp: str, known: str, *, calm: bool) -> None:
        self.selection, self.name, self.stamp = selection, name, stamp
        self.known = known
        """Digest of the tar that these files made before; empty when nobody knows."""
        self.calm = calm
        """Whether no file was touched just now: then the stamp tells them apart from what they are later."""
        self.layer: Layer | None = None
        self.file: Any = None


class _Clock:
    """Tells the seconds since it was made."""

    def __init__(self) -> None:
        self._began = perf_counter()

    @property
    def seconds(self) -> float:
        """Until now."""
        return perf_counter() - self._began


def _files(packed: _Packed) -> str:
    count = len(packed.selection.files)
    return f"{count} file{'s' if count != 1 else ''}"


def _name(recipe: Recipe) -> str:
    """Tag of the environment."""
    return f"env-{recipe.key[:SHORT]}"
