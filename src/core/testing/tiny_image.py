"""An image of one layer with one small file, pushed without an engine: for tests of registries."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING

from core.oci.media import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Blob,
    digest_of,
    to_json,
)

if TYPE_CHECKING:
    from core.oci.repository import Repository


def push_tiny_image(
    repository: Repository, tag: str = "base", *, docker: bool = True, architecture: str = "amd64"
) -> str:
    """Push it under `tag`, in the format of Docker or of OCI; gives its digest."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        entry = tarfile.TarInfo("etc/base")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    packed = gzip.compress(stream.getvalue(), mtime=0)
    config = to_json(
        {
            "os": "linux",
            "architecture": architecture,
            "config": {"Env": ["PATH=/bin"], "User": "", "Labels": {"made-by": "test"}},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(stream.getvalue())]},
            "history": [{"created_by": "test"}],
        }
    )
    kinds = (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER) if docker else (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    manifest = {
        "schemaVersion": 2,
        "mediaType": kinds[0],
        "config": Blob(repository.upload_bytes(config), len(config), kinds[1]).to_data(),
        "layers": [Blob(repository.upload_bytes(packed), len(packed), kinds[2]).to_data()],
    }
    return repository.put_manifest(to_json(manifest), kinds[0], tag)
