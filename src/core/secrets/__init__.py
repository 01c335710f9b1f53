"""Secrets: values that are kept encrypted, and referred to by `{{name.key}}` where they are needed."""

from core.secrets.entries import Secrets as Secrets
from core.secrets.reference import references as references
from core.secrets.vault import Vault as Vault

__all__ = ["Secrets", "Vault", "references"]
