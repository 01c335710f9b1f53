"""What an environment is built on, by digest: a tag that moves later changes nothing."""

from __future__ import annotations

from core.errors import NotFoundError
from core.oci.login import docker_login
from core.oci.reference import Reference, parse_reference
from core.oci.repository import Repository

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.ports.container_registry import ContainerRegistry, RegistryLogin


def pinned(text: str, registry: ContainerRegistry | None) -> Reference:
    """The image with its digest; asks its registry unless it has one. Raises `NotFoundError` when it is not there."""
    reference = parse_reference(text)
    if reference.digest:
        return reference._replace(tag="")
    insecure = registry is not None and registry.insecure and _of(registry, reference.host)
    with Repository(reference, lambda: login_for(text, registry), insecure=insecure) as repository:
        digest = repository.head(reference.version)
    if not digest:
        raise NotFoundError(
            f"there is no base image {str(reference)!r}", "check its name and tag, and the login if it is private"
        )
    return reference.at(digest)


def login_for(text: str, registry: ContainerRegistry | None) -> RegistryLogin | None:
    """The login for the registry of an image: the stack's own where it lies there, else what `docker login` left."""
    if not text:
        return None
    host = parse_reference(text).host
    return registry.login() if registry is not None and _of(registry, host) else docker_login(host)


def _of(registry: ContainerRegistry, host: str) -> bool:
    return registry.uri.partition("/")[0] == host
