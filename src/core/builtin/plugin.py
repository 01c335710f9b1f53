"""What core brings itself, offered through the same hooks as a stranger's plugin."""

from __future__ import annotations

from core.capture import beneath
from core.plugins.flavor import Flavor, Integration, hookimpl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.ports.materializer import Materializer
    from core.ports.observer import Observer
    from core.ports.service_connector import ConnectorType


_REGISTRIES = (
    ("default", "OciRegistry", "Any registry that speaks the OCI distribution API."),
    ("dockerhub", "DockerHubRegistry", "Docker Hub."),
    ("github", "GitHubRegistry", "GitHub's container registry."),
    ("gitlab", "GitLabRegistry", "GitLab's container registry."),
)


@hookimpl
def core_flavors() -> list[Flavor]:
    """The flavors that need nothing but the machine."""
    return [
        Flavor(
            "orchestrator",
            "local",
            "core.builtin.orchestrators.local:LocalOrchestrator",
            "Runs steps in the driver's own process.",
        ),
        Flavor(
            "orchestrator",
            "docker",
            "core.builtin.orchestrators.docker:DockerOrchestrator",
            "Runs each step in a container of a Docker engine.",
        ),
        Flavor(
            "artifact_store",
            "local",
            "core.builtin.stores.local:LocalArtifactStore",
            "Keeps artifacts in a folder of this machine.",
        ),
        Flavor(
            "artifact_store",
            "fsspec",
            "core.builtin.stores.fsspec:FsspecArtifactStore",
            "Keeps artifacts in any filesystem that fsspec knows.",
        ),
        *(
            Flavor("container_registry", name, f"core.builtin.registries.oci:{cls}", doc)
            for name, cls, doc in _REGISTRIES
        ),
        Flavor(
            "image_builder",
            "registry",
            "core.builtin.image_builders.registry:RegistryImageBuilder",
            "Puts code on top of its environment in the registry itself, with no engine.",
        ),
        Flavor(
            "image_builder",
            "docker",
            "core.builtin.image_builders.docker:DockerImageBuilder",
            "Builds and pushes images with a Docker engine.",
        ),
    ]


@hookimpl
def core_connectors() -> list[ConnectorType]:
    """Registries and clusters of any cloud, or of none."""
    from core.builtin.connectors.types import DOCKER, KUBERNETES  # start-up time: most runs ask for no connector

    return [DOCKER, KUBERNETES]


@hookimpl
def core_integrations() -> list[Integration]:
    """Core's own table."""
    from core.builtin.integrations import TABLE  # start-up time: only who installs something asks

    return list(TABLE)


@hookimpl
def core_materializers() -> list[Materializer]:
    """None: the table knows the built-in ones by the names of their classes and imports each when it is needed."""
    return []


@hookimpl
def core_observers(run_id: str, display: str) -> list[Observer]:  # noqa: ARG001 - the hook's signature
    """The display on standard error; none when nobody wants to see the run."""
    if display == "none":
        return []
    from core.builtin.display import choose  # start-up time: a run that nobody watches needs none

    return [choose(beneath(1), display)]  # standard error, not the stand-in of another thread's run
