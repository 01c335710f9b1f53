"""Images of one layer, pushed without an engine: for tests of registries."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

from core.image.layer import pack
from core.image.options import platform_of
from core.model.spec import ImageSettings
from core.oci.media import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Blob,
    to_json,
)

if TYPE_CHECKING:
    from typing import BinaryIO

    from core.oci.image import Layer
    from core.oci.repository import Repository


def push_tiny_image(
    repository: Repository, tag: str = "base", *, docker: bool = True, architecture: str = "amd64"
) -> str:
    """Push it under `tag`, in the format of Docker or of OCI; gives its digest."""
    stream, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        entry = tarfile.TarInfo("etc/base")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    layer = pack([stream.getvalue()], packed)
    settings = {"Env": ["PATH=/bin"], "User": "", "Labels": {"made-by": "test"}}
    return push_image(repository, tag, layer, packed, settings, docker=docker, architecture=architecture).partition(
        "@"
    )[2]


def push_image(
    repository: Repository,
    tag: str,
    layer: Layer,
    file: BinaryIO,
    settings: dict[str, Any],
    *,
    docker: bool = True,
    architecture: str = "",
) -> str:
    """Push an image of one layer, whose bytes are in `file`; gives its reference by digest."""
    config = to_json(
        {
            "os": "linux",
            "architecture": architecture or platform_of(ImageSettings()).partition("/")[2],
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created_by": "a test"}],
        }
    )
    kinds = (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER) if docker else (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    repository.upload(layer.digest, file, layer.size)
    manifest = {
        "schemaVersion": 2,
        "mediaType": kinds[0],
        "config": Blob(repository.upload_bytes(config), len(config), kinds[1]).to_data(),
        "layers": [Blob(layer.digest, layer.size, kinds[2]).to_data()],
    }
    return str(repository.reference.at(repository.put_manifest(to_json(manifest), kinds[0], tag)))
