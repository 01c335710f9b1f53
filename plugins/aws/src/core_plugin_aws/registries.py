"""ECR: a login for the registry of an account, and repositories that are made when they are missing."""

from __future__ import annotations

from base64 import b64decode
from typing import TYPE_CHECKING, Any

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


def ensure(ecr: Any, account: str, repository: str) -> bool:
    """Make the repository if it is missing; whether it was."""
    try:
        ecr.describe_repositories(registryId=account, repositoryNames=[repository])
    except ecr.exceptions.RepositoryNotFoundException:
        return asked(f"make the repository {repository!r}", lambda: _create(ecr, account, repository), "ecr")
    except Exception as error:  # border of a library
        from core_plugin_aws.trouble import aws_error  # only a failure needs it

        raise aws_error(f"look for the repository {repository!r}", error, "ecr") from error
    return False


def _create(ecr: Any, account: str, repository: str) -> bool:
    try:
        ecr.create_repository(registryId=account, repositoryName=repository)
    except ecr.exceptions.RepositoryAlreadyExistsException:
        return False  # somebody was faster
    return True
