"""Settings of the artifact stores; imported only when settings are given."""

from __future__ import annotations

import os
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from core.mask import url_password

SHARED = Field(
    default=None,
    description="Whether other machines use it too: then runs are recorded beside the artifacts, for all of them. "
    "Default: when it is not on this machine.",
)
TRUSTED = Field(
    default=False,
    description="Whether all who can write there may run code as you: then pickles of their runs are loaded.",
)


class LocalSettings(BaseModel):
    """Settings of the `local` flavor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(min_length=1, description="Folder that keeps the artifacts; made when it is not there.")
    durability: Literal["process", "power"] = Field(
        default="process",
        description="What a published artifact survives: the death of any process, or also a loss of power (fsync).",
    )
    shared: bool | None = SHARED
    trusted: bool = TRUSTED

    @field_validator("path")
    @classmethod
    def absolute(cls, path: str) -> str:
        """One store wherever it is used from later."""
        return os.path.abspath(os.path.expanduser(path))


class FsspecSettings(BaseModel):
    """Settings of the `fsspec` flavor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        min_length=1, description="URL of the folder or bucket, such as `s3://bucket/prefix` or `memory://artifacts`."
    )
    storage_options: dict[str, Any] = Field(default_factory=dict, description="Options for the fsspec file system.")
    retry_seconds: float = Field(
        default=60.0, ge=0, le=3600, description="Seconds to try again for while the storage is overloaded or away."
    )
    shared: bool | None = SHARED
    trusted: bool = TRUSTED

    @field_validator("path")
    @classmethod
    def without_password(cls, path: str) -> str:
        """Runs record the URL of the store with each artifact."""
        if url_password(path):
            raise ValueError(
                "a password in it would be recorded with every artifact; "
                """expected --storage_options='{"username": "...", "password": "{{NAME.password}}"}'"""
            )
        return path
