"""Media types of the two families, and the plain data that manifests are made of."""

from __future__ import annotations

import json
from hashlib import sha256

from core.model.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
ACCEPT = f"{OCI_MANIFEST}, {DOCKER_MANIFEST}, {OCI_INDEX}, {DOCKER_LIST}"


class Blob(Value):
    """Bytes in a repository, by what names them."""

    digest: str
    size: int
    """Bytes."""
    media_type: str

    @classmethod
    def of(cls, descriptor: Mapping[str, Any]) -> Blob:
        """From a descriptor of a manifest."""
        return cls(str(descriptor["digest"]), int(descriptor["size"]), str(descriptor.get("mediaType", "")))

    def to_data(self) -> dict[str, Any]:
        """A descriptor, as manifests have it."""
        return {"mediaType": self.media_type, "size": self.size, "digest": self.digest}


class Manifest(Value):
    """A manifest or an index, as the registry has it."""

    data: Mapping[str, Any]
    digest: str
    media_type: str

    @property
    def is_index(self) -> bool:
        """Whether it only names the manifests of several platforms."""
        return self.media_type in INDEXES

    @property
    def docker(self) -> bool:
        """Whether it is of Docker's family: what is built on it stays in it."""
        return self.media_type == DOCKER_MANIFEST

    @property
    def config(self) -> Blob:
        """Where the image's configuration is."""
        return Blob.of(self.data["config"])

    @property
    def layers(self) -> list[Blob]:
        """Its layers, the lowest first."""
        return [Blob.of(layer) for layer in self.data["layers"]]

    @property
    def size(self) -> int:
        """Bytes of all layers and the configuration, as they travel."""
        return self.config.size + sum(layer.size for layer in self.layers)


def digest_of(data: bytes) -> str:
    """What names these bytes in a registry."""
    return f"sha256:{sha256(data).hexdigest()}"


def to_json(data: Any) -> bytes:
    """The same bytes for equal data, on any machine."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
