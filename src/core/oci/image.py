"""Reads an image, and publishes another that has one more layer, without an engine and without its bytes."""

from __future__ import annotations

import json

from core.beside import Beside
from core.errors import ConfigurationError
from core.faults import failpoint
from core.model.nothing import NOTHING
from core.model.value import Value
from core.oci.media import DOCKER_LAYER, OCI_LAYER, Blob, Manifest, digest_of, to_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, BinaryIO

    from core.oci.repository import Repository

EPOCH = "1970-01-01T00:00:00Z"
"""When an image was made whose base does not say: the same files give the same digest at any time."""


class Image(Value):
    """An image of one platform."""

    manifest: Manifest
    config: Mapping[str, Any]
    """The configuration blob: platform, environment, user, history."""

    @property
    def platform(self) -> str:
        """Such as `linux/amd64`."""
        parts = (self.config.get(key) for key in ("os", "architecture", "variant"))
        return "/".join(str(part) for part in parts if part)

    @classmethod
    def of(cls, text: str) -> Image:
        """What `to_text` gave."""
        manifest, config = json.loads(text)
        return cls(Manifest(*manifest), config)

    def to_text(self) -> str:
        """All of it, as JSON."""
        return json.dumps([[self.manifest.data, self.manifest.digest, self.manifest.media_type], self.config])

    @property
    def settings(self) -> Mapping[str, Any]:
        """What a container of it starts with: `Env`, `User`, `WorkingDir`, `Labels`, ..."""
        return self.config.get("config") or {}


class Layer(Value):
    """A compressed layer in a file."""

    diff_id: str
    """Digest of the tar before compression: the same on every machine."""
    digest: str
    """Digest of what travels."""
    size: int
    """Bytes of what travels."""


class Changes(Value):
    """What an image sets differently from its base."""

    environment: Mapping[str, str] = NOTHING
    labels: Mapping[str, str] = NOTHING
    workdir: str = ""
    """Working folder; empty: the base's."""
    comment: str = ""
    """For the history."""


def read_image(repository: Repository, version: str, platform: str) -> Image:
    """The image with this tag or digest, of an index the one for `platform` (`linux/amd64`; empty: whichever).

    Raises `NotFoundError`, and `ConfigurationError` when there is none for that platform.
    """
    manifest = repository.manifest(version)
    if manifest.is_index:
        manifest = repository.manifest(_chosen(manifest, platform, f"{repository.reference}:{version}"))
    if "config" not in manifest.data:
        raise ConfigurationError(
            f"{repository.reference}:{version} is of a kind that core can't build on ({manifest.media_type})",
            "choose an image in OCI or Docker v2 format",
        )
    image = Image(manifest, json.loads(repository.blob(manifest.config)))
    if not fits(image.platform, platform):
        raise misfit(f"{repository.reference}:{version}", [image.platform], platform)
    return image


def fits(has: str, wanted: str) -> bool:
    """Whether an image for platform `has` runs where `wanted` does; a variant counts only where both name one."""
    return not wanted or has == wanted or has.startswith(f"{wanted}/") or wanted.startswith(f"{has}/")


def derived(image: Image, layer: Layer, changes: Changes) -> tuple[bytes, bytes]:
    """Configuration and manifest of `image` with `layer` on top; media types stay of the base's family."""
    settings = dict(image.settings)
    variables = dict(entry.partition("=")[::2] for entry in settings.get("Env") or ())
    settings["Env"] = [f"{name}={value}" for name, value in {**variables, **changes.environment}.items()]
    settings["Labels"] = {**(settings.get("Labels") or {}), **changes.labels}
    if changes.workdir:
        settings["WorkingDir"] = changes.workdir
    created = image.config.get("created") or EPOCH
    rootfs = {**image.config["rootfs"], "diff_ids": [*image.config["rootfs"]["diff_ids"], layer.diff_id]}
    entry = {"created": created, "created_by": changes.comment, "comment": "core"}
    history = [*(image.config.get("history") or ()), entry]
    kept = {key: value for key, value in image.config.items() if key not in {"container", "container_config", "id"}}
    config = to_json({**kept, "created": created, "config": settings, "rootfs": rootfs, "history": history})
    base = image.manifest
    top = Blob(layer.digest, layer.size, DOCKER_LAYER if base.docker else OCI_LAYER)
    manifest = {
        "schemaVersion": 2,
        "mediaType": base.media_type,
        "config": Blob(digest_of(config), len(config), base.config.media_type).to_data(),
        "layers": [*base.data["layers"], top.to_data()],
    }
    return config, to_json(manifest)


def publish(
    repository: Repository,
    read: Callable[[], Image],
    source: Repository | None,
    layer: Layer,
    file: BinaryIO,
    changes: Changes,
    tag: str,
) -> Manifest:
    """Put the image that `read` gives with `layer` (its bytes in `file`) on top into `repository` under `tag`.

    It is read while the layer goes up. `source` is where the image's own layers are when not there already; of the same
    registry they are mounted. Gives the manifest.
    """
    sent = Beside(lambda: repository.upload(layer.digest, file, layer.size))
    image = read()
    if source is not None:
        for blob in image.manifest.layers:
            bring(repository, blob, source)
    config, manifest = derived(image, layer, changes)
    repository.upload_bytes(config)
    sent.result()
    failpoint("image.sent")
    digest = repository.put_manifest(manifest, image.manifest.media_type, tag)
    return Manifest(json.loads(manifest), digest, image.manifest.media_type)


def bring(repository: Repository, blob: Blob, source: Repository) -> None:
    """Make sure that `repository` has `blob`, which `source` has."""
    same = source.reference.host == repository.reference.host
    if same and repository.mount(blob.digest, source.reference.repository):
        return
    if not repository.has(blob.digest):
        repository.copy(blob, source)


def _chosen(index: Manifest, platform: str, name: str) -> str:
    """Digest of the index's manifest for `platform`."""
    offered: dict[str, str] = {}
    for entry in index.data.get("manifests", ()):
        about = entry.get("platform") or {}
        words = "/".join(str(about[key]) for key in ("os", "architecture", "variant") if about.get(key))
        if words and not words.startswith("unknown"):  # attestations call themselves so
            offered.setdefault(words, str(entry["digest"]))
    for words, digest in offered.items():
        if fits(words, platform):
            return digest
    raise misfit(name, list(offered), platform)


def misfit(name: str, offered: list[str], platform: str) -> ConfigurationError:
    """The error for an image that does not run on `platform`; `offered` are those that it is for, as far as known."""
    known = f"; it is for {', '.join(offered)}" if offered else ""
    return ConfigurationError(
        f"image {name} is not for {platform}{known}",
        'choose another base image, or say what the stack runs on: ImageSettings(platform="linux/amd64")',
    )
