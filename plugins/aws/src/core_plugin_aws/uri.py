"""The address of an ECR registry, taken apart."""

from __future__ import annotations

import re

from core.model.value import Value

_HOST = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.(?P<domain>amazonaws\.com(?:\.cn)?|on\.aws|"
    r"on\.amazonwebservices\.com\.cn|[a-z0-9.-]+)"
)
_PREFIX = re.compile(r"[a-z0-9]+(?:[._/-][a-z0-9]+)*")


class Registry(Value):
    """One registry: an account's in a region."""

    account: str
    region: str
    host: str
    prefix: str = ""
    """Folder of its repositories, without slashes around it."""

    @property
    def uri(self) -> str:
        """Host and prefix."""
        return f"{self.host}/{self.prefix}" if self.prefix else self.host

    @property
    def partition(self) -> str:
        """The AWS that it is of: `aws`, `aws-cn`, `aws-us-gov`."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"


def parse_registry(uri: str) -> Registry:
    """Takes `ACCOUNT.dkr.ecr.REGION.amazonaws.com[.cn][/PREFIX]`, a scheme before it or not; raises `ValueError`."""
    bare = (uri.partition("://")[2] if "://" in uri else uri).strip().rstrip("/")
    host, _, prefix = bare.partition("/")
    found = _HOST.fullmatch(host)
    if found is None or (prefix and not _PREFIX.fullmatch(prefix)):
        raise ValueError(
            f"{uri!r} is no ECR registry; expected `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, ACCOUNT of 12 digits"
        )
    return Registry(found["account"], found["region"], host, prefix)


def registry_host(account: str, region: str) -> str:
    """Host of the registry of `account` in `region`."""
    return f"{account}.dkr.ecr.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
