"""Settings of the flavors `s3` and `aws`; imported only when settings are given."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from core.builtin.stores.settings import SHARED, TRUSTED
from core_plugin_aws.uri import parse_registry

MIB = 1 << 20


class S3Settings(BaseModel):
    """Settings of the artifact store `s3`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(description="Bucket and prefix, such as `s3://bucket/prefix`.")
    region: str = Field(default="", description="Region of the bucket; by default that of the credentials.")
    endpoint_url: str = Field(default="", description="URL of an S3 that is not Amazon's, such as MinIO's.")
    server_side_encryption: Literal["", "AES256", "aws:kms", "aws:kms:dsse"] = Field(
        default="", description="How S3 encrypts what is written; empty: as the bucket says."
    )
    kms_key_id: str = Field(default="", description="Key of `aws:kms`; by default that of the account.")
    part_size: int = Field(
        default=16 * MIB, ge=5 * MIB, le=5 << 30, description="Bytes of a part; larger artifacts go up in parts."
    )
    retry_seconds: float = Field(
        default=60.0, ge=0, le=3600, description="Seconds to try again for while S3 is overloaded or away."
    )
    request_timeout: float = Field(
        default=60.0, gt=0, le=3600, description="Seconds that a request may take, beside a second for every 64 KiB."
    )
    storage_options: dict[str, Any] = Field(
        default_factory=dict, description="Options for s3fs, for what is not above."
    )
    shared: bool | None = SHARED
    trusted: bool = TRUSTED

    @field_validator("path")
    @classmethod
    def bucket(cls, path: str) -> str:
        """A bucket at least, without what URLs may have and keys may not."""
        scheme, found, rest = path.partition("://")
        name = rest.partition("/")[0]
        if scheme not in {"s3", "s3a"} or not found or not 3 <= len(name) <= 255 or any(c in path for c in "?#\\\0"):
            raise ValueError(f"{path!r} names no bucket; expected `s3://BUCKET` or `s3://BUCKET/PREFIX`")
        if any(part in {"", ".", ".."} for part in rest.rstrip("/").split("/")):
            raise ValueError(f"{path!r} has a folder `.`, `..` or without a name; expected `s3://BUCKET/PREFIX`")
        return f"s3://{rest.rstrip('/')}"

    @model_validator(mode="after")
    def key_of_kms(self) -> S3Settings:
        """A key only where it is used."""
        if self.kms_key_id and not self.server_side_encryption.startswith("aws:kms"):
            raise ValueError("kms_key_id is given, but server_side_encryption is not aws:kms")
        return self


class EcrSettings(BaseModel):
    """Settings of the container registry `aws`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    uri: str = Field(description="The registry, such as `123456789012.dkr.ecr.eu-west-1.amazonaws.com`, and a prefix.")
    create_repositories: bool = Field(
        default=True, description="Make a repository that is missing, when it is pushed to."
    )
    endpoint: str = Field(
        default="", description="Host and port that stand in for the registry, such as a mirror of it."
    )
    insecure: bool = Field(default=False, description="Speak plain http; only for a registry of this machine.")

    @field_validator("uri")
    @classmethod
    def registry(cls, uri: str) -> str:
        """As ECR writes it, without a scheme."""
        return parse_registry(uri).uri

    @field_validator("endpoint")
    @classmethod
    def bare(cls, endpoint: str) -> str:
        """Without a scheme."""
        return endpoint.partition("://")[2].rstrip("/") or endpoint.rstrip("/")
