"""What a run whose steps are jobs takes along: orchestrators by name, and what every job must be told."""

from __future__ import annotations

import json
import os

from core.builtin.journal.store import JournalTrackingStore
from core.bundle import Shipping
from core.errors import ConfigurationError
from core.mask import Mask, add_secret, secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from core.ports.artifact_store import ArtifactStore
    from core.ports.component import Component
    from core.ports.orchestrator import Orchestrator
    from core.schedule import Conditions
    from core.settings import Settings


def equipped(
    conditions: Conditions,
    settings: Settings,
    orchestrators: Mapping[str, Orchestrator],
    workers: int | None,
) -> Conditions:
    """`conditions` of a run on `orchestrators` (the stack's stands first); `workers` is what the call says."""
    jobs = {name: one for name, one in orchestrators.items() if "inline" not in one.capabilities}
    if not jobs:
        return conditions
    entry, folders = entry_of(conditions.store)
    for name, one in jobs.items():
        if folders and not one.folders:
            raise ConfigurationError(
                f"artifact store {conditions.store.name!r} is the folder {folders[0]!r} of this machine, "
                f"which jobs of orchestrator {name!r} can't reach",
                "choose a stack whose artifact store is in reach of both, such as a bucket",
            )
    if workers is None:
        workers = settings.workers if settings.workers != 1 else 0
    return conditions._replace(
        orchestrators=jobs,
        default=next(iter(orchestrators)),
        jobs=workers or max(one.slots for one in jobs.values()),
        shipping=Shipping(
            store=entry,
            project=settings.project,
            actor=conditions.actor,
            heartbeat=settings.heartbeat,
            grace=settings.grace,
            log_limit=settings.log_limit,
            folders=folders,
            secrets=tuple({found: None for one in jobs.values() for found in secrets_in(dict(one.environment))}),
        ),
        mailbox=JournalTrackingStore(conditions.store),
        secret=secret_of(settings.home),
    )


def secret_of(home: str) -> bytes:
    """What the keys of this home's jobs are made of; the first run that launches some makes it."""
    path = os.path.join(home, "jobs.key")
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        part = f"{path}.{os.urandom(4).hex()}"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(32))
    try:
        os.link(part, path)  # whole, or not at all
    except FileExistsError:
        pass  # another run was first
    finally:
        os.unlink(part)
    return secret_of(home)


def entry_of(store: ArtifactStore) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Flavor and settings of a store as plain data, what of them is secret, and the folders here that it needs."""
    root = store.path("blake3:" + "0" * 64)
    folder = "" if root is None else store.uri.removeprefix("file://")
    folders = (folder,) if folder else ()
    settings = store.settings
    if settings is None:
        if root is None:
            raise ConfigurationError(
                f"artifact store {store.name!r} ({store.flavor}) can't be told to jobs: it has no settings",
                "register it with `core artifact-store register`",
            )
        return {"flavor": store.flavor, "settings": folder, "secrets": []}, folders
    return {"flavor": store.flavor, **revealed(settings)}, folders


def entry_for_driver(component: Component) -> dict[str, Any]:
    """A component as plain data for a driver elsewhere: name, flavor, settings with secrets, credentials of now.

    Of the connector that gives them it tells the type and what is no secret: see `core.identity`.
    """
    data: dict[str, Any] = {"name": component.name, "folders": [], "credentials": None, "connector": None}
    if component.credentials is not None:
        from core.connectors import Renewing  # start-up time: few stacks have connectors

        data["credentials"] = component.credentials().to_data()
        if isinstance(component.credentials, Renewing):
            data["connector"] = component.credentials.to_data()
    if component.type == "artifact_store":
        entry, folders = entry_of(component)  # type: ignore[arg-type] # it is one
        data |= {**entry, "folders": folders}
    else:
        settings = component.moved() if component.type == "orchestrator" else component.settings  # type: ignore[attr-defined]
        data |= {"flavor": component.flavor, **revealed(settings)}
    return data


def revealed(settings: Any) -> dict[str, Any]:
    """A settings model as plain data, its secrets in the clear; and which those are, for who must mask them there."""
    if settings is None:
        return {"settings": None, "secrets": []}
    data: dict[str, Any] = settings.model_dump(mode="json")
    for name, value in settings:
        if hasattr(value, "get_secret_value"):
            data[name] = value.get_secret_value()
            add_secret(data[name])
    return {"settings": data, "secrets": secrets_in(data)}


def secrets_in(data: dict[str, Any]) -> list[str]:
    """What of plain data is masked in this process."""
    text = json.dumps(data).encode()
    return [one for one in secrets() if Mask([one]).data(text) != text]
