"""What AWS adds to core, as data: importing this imports no AWS SDK."""

from __future__ import annotations

from core.plugins.flavor import Flavor, hookimpl
from core_plugin_aws.types import AWS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from core.ports.service_connector import ConnectorType


@hookimpl
def core_flavors() -> list[Flavor]:
    """S3 and ECR."""
    return [
        Flavor("artifact_store", "s3", "core_plugin_aws.s3_store:S3ArtifactStore", "Keeps artifacts in an S3 bucket."),
        Flavor("container_registry", "aws", "core_plugin_aws.ecr:EcrContainerRegistry", "Images in Amazon ECR."),
    ]


@hookimpl
def core_connectors() -> list[ConnectorType]:
    """The connector type `aws`."""
    return [AWS]
