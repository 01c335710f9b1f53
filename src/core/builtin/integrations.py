"""Core's own table of integrations: what people type, the packages that it stands for, and what they bring."""

from __future__ import annotations

from core.plugins.flavor import Integration
from core.version import VERSION

_AWS = (f"core-plugin-aws=={VERSION}",)

TABLE = (
    Integration(
        "aws",
        _AWS,
        "AWS: service connector, artifacts in S3, images in ECR",
        ("artifact_store/s3", "container_registry/aws"),
        ("aws",),
    ),
    Integration("s3", _AWS, "the same package as aws", ("artifact_store/s3", "container_registry/aws"), ("aws",)),
    Integration("skypilot_aws", (), "steps on VMs of AWS, through SkyPilot", ("orchestrator/vm_aws",)),
    Integration(
        "gcp",
        (),
        "Google Cloud: service connector, artifacts in GCS, images in Artifact Registry",
        ("artifact_store/gcs", "container_registry/gcp"),
        ("gcp",),
    ),
    Integration("skypilot_gcp", (), "steps on VMs of Google Cloud, through SkyPilot", ("orchestrator/vm_gcp",)),
    Integration(
        "azure",
        (),
        "Azure: service connector, artifacts in Blob Storage, images in ACR",
        ("artifact_store/azure", "container_registry/azure"),
        ("azure",),
    ),
    Integration("skypilot_azure", (), "steps on VMs of Azure, through SkyPilot", ("orchestrator/vm_azure",)),
    Integration("kubernetes", (), "steps as jobs of a Kubernetes cluster", ("orchestrator/kubernetes",)),
)
"""Every name that is written in guides; one without requirements is not built yet, and says so."""
