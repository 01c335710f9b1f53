"""Settings of the container registries; imported only when settings are given."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from core.errors import ConfigurationError
from core.oci.reference import loopback, parse_reference


class RegistrySettings(BaseModel):
    """Settings of every registry that speaks the OCI distribution API."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    insecure: bool = Field(
        default=False, description="Whether it speaks plain http; one of this machine's loopback always does."
    )
    uri: str = Field(description="Host, port if any, and path if any: `registry.example.com:5000/team`.")
    username: str = Field(default="", description="Who logs in; by default what a connector or `docker login` says.")
    password: SecretStr | None = Field(
        default=None, description="Password or access token, as a reference to a secret: `{{name.key}}`."
    )

    @field_validator("uri")
    @classmethod
    def _without_scheme(cls, uri: str, info: ValidationInfo) -> str:
        bare = uri.removeprefix("https://").removeprefix("http://").rstrip("/")
        if uri.startswith("http://") and not info.data.get("insecure") and not loopback(bare.partition("/")[0]):
            message = f"http:// sends passwords in the clear; write {bare}, with --insecure where that is meant"
            raise ValueError(message)
        try:
            parse_reference(f"{bare}/image")
        except ConfigurationError:
            message = "expected HOST, HOST:PORT or HOST/PATH, the path in lower case"
            raise ValueError(message) from None
        return bare

    @model_validator(mode="after")
    def _both(self) -> RegistrySettings:
        if bool(self.username) != (self.password is not None):
            message = "expected both username and password, or neither"
            raise ValueError(message)
        return self
