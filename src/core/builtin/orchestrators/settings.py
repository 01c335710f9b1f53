"""Settings of the orchestrators; imported only when settings are given."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class DockerSettings(BaseModel):
    """Settings of the `docker` flavor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(
        default="",
        description="The engine, such as `ssh://me@there`; by default DOCKER_HOST, or docker's current context.",
    )
    image: str = Field(default="", description="Image of steps for which none is built.")
    network: str = Field(default="", description="Network that containers join; by default the engine's own.")
    environment: dict[str, str] = Field(default_factory=dict, description="Variables set in every container.")
    volumes: dict[str, str] = Field(
        default_factory=dict,
        description="Folders of the engine's machine to their place in containers; `:ro` after it makes one read-only.",
    )
    user: str = Field(default="", description="User, or `user:group`, as whom steps run; by default the image's.")
    slots: int = Field(default=0, ge=0, le=1000, description="Containers at work at a time; 0 means one a core.")
