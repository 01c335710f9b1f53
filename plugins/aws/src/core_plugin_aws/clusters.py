"""EKS: the clusters of a region, and the way into one: endpoint, certificate authority, a presigned token."""

from __future__ import annotations

import time
from base64 import b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from botocore.signers import RequestSigner

from core.errors import InfrastructureError
from core.mask import add_secret
from core_plugin_aws.sessions import client, region_of
from core_plugin_aws.trouble import asked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIFE = 14 * 60
"""Seconds that a token is used for; EKS takes it for 15 minutes."""
PAGE = 100
"""Clusters that are asked for at a time: as many as EKS gives."""


def names(eks: Any) -> Iterator[str]:
    """Every cluster of the region, page by page."""
    marker: dict[str, str] = {}
    while True:
        page = asked("list the EKS clusters", lambda marker=marker: eks.list_clusters(maxResults=PAGE, **marker), "eks")  # type: ignore[misc]
        yield from page["clusters"]
        if not page.get("nextToken"):
            return
        marker = {"nextToken": page["nextToken"]}


def opened(session: Any, settings: Mapping[str, str], name: str) -> tuple[dict[str, str], float]:
    """Server, certificate authority and token of a cluster; and when the token ends."""
    eks = client(session, "eks", settings)
    cluster = asked(f"open the EKS cluster {name!r}", lambda: eks.describe_cluster(name=name), "eks")["cluster"]
    if not cluster.get("endpoint"):
        state = cluster.get("status", "not ready")
        raise InfrastructureError(f"AWS: the EKS cluster {name!r} is {state}: no endpoint yet", "try again in minutes")
    authority = b64decode(cluster["certificateAuthority"]["data"]).decode()
    values = {"server": cluster["endpoint"], "certificate_authority": authority}
    ends = time.time() + LIFE
    return values | {"token": token(session, settings, name)}, ends


def token(session: Any, settings: Mapping[str, str], cluster: str) -> str:
    """What EKS takes for a bearer token: a presigned `GetCallerIdentity` that names the cluster."""
    sts, region = client(session, "sts", settings), region_of(session, settings)
    signer = RequestSigner(
        sts.meta.service_model.service_id,
        region,
        "sts",
        "v4",
        session.get_credentials(),
        session.get_component("event_emitter"),
    )
    request = {
        "method": "GET",
        "url": f"{sts.meta.endpoint_url}/?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(request, region_name=region, expires_in=60, operation_name="")
    made = "k8s-aws-v1." + urlsafe_b64encode(url.encode()).decode().rstrip("=")
    add_secret(made)
    return made
