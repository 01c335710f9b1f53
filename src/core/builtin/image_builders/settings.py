"""Settings of the image builders; imported only when settings are given."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BuilderSettings(BaseModel):
    """Settings of both flavors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: str = Field(
        default="core",
        pattern=r"^[a-z0-9]+([._/-][a-z0-9]+)*$",
        description="Repository in the stack's registry that keeps the images of all pipelines.",
    )
    base_image: str = Field(
        default="",
        description="Image to build on where neither step nor pipeline names one, such as `registry.example.com/python:{version}`; by default a slim Python of Docker Hub.",  # noqa: E501
    )
    host: str = Field(
        default="",
        description="Docker engine that builds environments, such as `ssh://me@builder`; by default DOCKER_HOST, or docker's current context.",  # noqa: E501
    )
