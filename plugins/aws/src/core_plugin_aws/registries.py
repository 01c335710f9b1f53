"""ECR: a login for the registry of an account, and repositories that are made when they are missing."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

from core.errors import NotFoundError
from core.mask import add_secret
from core_plugin_aws.sessions import client
from core_plugin_aws.trouble import asked
from core_plugin_aws.uri import parse_registry

if TYPE_CHECKING:
    from collections.abc import Mapping


def opened(session: Any, settings: Mapping[str, str], resource_id: str) -> tuple[dict[str, str], float]:
    """Server, name and password; and when the password ends, seconds since 1970."""
    registry = parse_registry(resource_id)
    ecr = client(session, "ecr", settings, registry.region)
    what = f"log in to the registry {registry.host!r}"
    data = asked(what, ecr.get_authorization_token, "ecr")["authorizationData"][0]
    username, _, password = b64decode(data["authorizationToken"]).decode().partition(":")
    add_secret(password)
    return {"server": registry.host, "username": username, "password": password}, data["expiresAt"].timestamp()


def exists(ecr: Any, account: str, repository: str) -> bool:
    """Whether the registry of `account` has the repository."""
    what = f"look for the repository {repository!r}"
    try:
        asked(what, lambda: ecr.describe_repositories(registryId=account, repositoryNames=[repository]), "ecr")
    except NotFoundError:
        return False
    return True


def create(ecr: Any, account: str, repository: str) -> None:
    """Make the repository; fine when somebody was faster."""
    asked(f"make the repository {repository!r}", lambda: _create(ecr, account, repository), "ecr")


def _create(ecr: Any, account: str, repository: str) -> None:
    try:
        ecr.create_repository(registryId=account, repositoryName=repository)
    except ecr.exceptions.RepositoryAlreadyExistsException:
        return
