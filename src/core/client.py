"""The Python client: what ran, what it made, what changed."""

from __future__ import annotations

import os

from core.errors import CoreError, NotFoundError, UsageError, show_uncaught
from core.model.event import EventKind
from core.model.nothing import NOTHING
from core.model.states import ENDED_RUN
from core.model.value import Value
from core.settings import resolve
from core.stack import DEFAULT
from core.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from core.builtin.journal.sync import Synced
    from core.diff import RunDiff
    from core.ports.service_connector import Credentials
    from core.ports.tracking_store import RunRow
    from core.replay import Replay
    from core.view import ArtifactView, RunView

LATEST = "latest"
FEW = 8
"""Runs that the store is asked for one by one; for more it is asked for all that is new."""


class Lineage(Value):
    """Where an artifact comes from and goes to."""

    made_from: tuple[tuple[str, str, str], ...]
    """Step, output and digest of what the attempt that made it took."""
    used_by: tuple[tuple[str, str, int], ...]
    """Run, step and attempt of those that took it, newest runs first."""


class Client:
    """Reads the runs of a home: `Client().run("latest").steps["train"].outputs["model"].load()`."""

    def __init__(self, home: str | None = None) -> None:
        """`home` is the folder of the state; by default the one that settings and environment choose."""
        show_uncaught()
        self.workspace = Workspace(resolve({"home": home} if home else {}))
        self.workspace.resume = self._resume
        self.away: CoreError | None = None
        """Why news of runs that are at work elsewhere could not be had, if that is so: the store they share is away."""

    def runs(
        self,
        limit: int | None = 50,
        *,
        before: str | None = None,
        pipeline: str | None = None,
        state: str | None = None,
    ) -> list[RunRow]:
        """Newest runs first, at most `limit`; `before` is a run id to page on from."""
        with self.workspace as workspace:
            project = workspace.settings.project
            rows = workspace.tracking.runs(project, limit=limit, before=before, pipeline=pipeline, state=state)
            if not self._news([row.id for row in rows if _may_be_elsewhere(row)]):
                return rows
            return workspace.tracking.runs(project, limit=limit, before=before, pipeline=pipeline, state=state)

    def _news(self, runs: Sequence[str]) -> bool:
        """Hear what the store that others share has of these runs, which are not over; whether it could be asked."""
        try:
            sharing = self.workspace.sharing if runs else None
            if sharing is None:
                return False
            asked = [run for run in runs if sharing.elsewhere(run)]
            for run in asked if len(asked) <= FEW else (None,):
                sharing.sync(run)
        except CoreError as error:
            self.away = error
            return False
        return bool(asked)

    def run(self, run: str = LATEST) -> RunView:
        """The run with this id, the beginning or end of it, or `latest`.

        Where others share the stack's store, one that is not known here, or is at work elsewhere, is looked for there.
        Raises `NotFoundError`, and `UsageError` when several runs match.
        """
        with self.workspace as workspace:
            if not str(run).isascii():
                found = []  # the id of a run is hexadecimal
            elif run == LATEST:
                found = [row.id for row in workspace.tracking.runs(workspace.settings.project, limit=1)]
            else:
                found = workspace.tracking.find_run(run, workspace.settings.project)
        if not found and run and str(run).isascii() and self.sync() is not None:
            with self.workspace as workspace:
                found = workspace.tracking.find_run(run, workspace.settings.project)
        if not found or not run:
            raise NotFoundError(f"there is no run {run!r} in {self.workspace.home}", "see `core runs list`")
        if len(found) > 1:
            more = ", ..." if len(found) > 5 else ""
            raise UsageError(f"{run!r} fits several runs: {', '.join(found[:5])}{more}", "give more characters")
        view = self.workspace.view(found[0])
        if _may_be_elsewhere(view) and self._news([view.id]):
            view = self.workspace.view(view.id)
        return view

    def fetch_logs(self, run: RunView, step: str | None = None) -> bool:
        """Bring into this home what the steps of a run printed elsewhere; False where nobody shares its store.

        Raises `StoreError` when the store is away.
        """
        with self.workspace as workspace:
            sharing = workspace.sharing
            if sharing is None or not sharing.elsewhere(run.id):
                return False
            chosen = [each for name, each in run.steps.items() if step in {None, name, name.partition("[")[0]}]
            wanted = [(each.name, attempt.number) for each in chosen for attempt in each.attempts]
            sharing.fetch_logs(run.id, wanted)
        return True

    def sync(self) -> Synced | None:
        """Bring the runs of all who share the active stack's artifact store into this home; None where nobody does.

        Raises `StoreError` when the store is away.
        """
        return self.workspace.sync()

    def credentials(self, connector: str, resource_type: str = "", resource_id: str = "") -> Callable[[], Credentials]:
        """What gives credentials of a service connector whenever it is called: keep it, and call it each time.

        They are renewed in time, in a step that runs for days too. Raises `NotFoundError` and `NotAllowedError`.
        """
        with self.workspace as workspace:
            return workspace.connectors.credentials(connector, resource_type, resource_id)

    def _resume(self, run: str) -> RunView:
        from core.resume import resume  # start-up time: few programs go on with a run

        return resume(self.workspace, run)

    def diff(self, a: str, b: str = LATEST) -> RunDiff:
        """What differs between two runs: code, parameters, environment, artifacts, timings."""
        from core.diff import diff  # start-up time: few programs compare

        with self.workspace:
            return diff(self.run(a), self.run(b), self._code)

    def _code(self, digest: str) -> Mapping[str, Any]:
        """The parts behind a code digest; empty when the document is gone."""
        import json  # start-up time: few programs compare

        try:
            with self.workspace as workspace:
                parts = json.loads(workspace.tracking.document(digest))
        except (NotFoundError, ValueError):
            return {}
        return parts if isinstance(parts, dict) else {}

    def replay(
        self,
        run: str,
        step: str,
        *,
        attempt: int | None = None,
        parameters: Mapping[str, Any] = NOTHING,
        record: bool = True,
    ) -> Replay:
        """Call `step` again, in this process, with what `attempt` of it (the newest that began) took in `run`.

        `parameters` replace recorded ones. It is recorded as a run of its own, unless `record` is false.
        Raises `NotFoundError` for what is not there any more, and `RunFailed` from what the step raises.
        """
        from core.replay import replay  # start-up time: few programs replay

        with self.workspace as workspace:
            return replay(workspace, self.run(run).id, step, attempt=attempt, parameters=parameters, record=record)

    def hold(self, run: str, reason: str = "") -> str:
        """Keep a run from garbage collection; gives its id."""
        return self._held(run, held=True, reason=reason)

    def release(self, run: str) -> str:
        """Let garbage collection have a run that was held; gives its id."""
        return self._held(run, held=False, reason="")

    def _held(self, run: str, *, held: bool, reason: str) -> str:
        import time  # start-up time: few programs hold runs

        from core.model.event import Event  # start-up time: the same

        found = self.run(run).id
        with self.workspace as workspace:
            project, writer = workspace.settings.project, f"hold-{os.getpid():x}-{os.urandom(4).hex()}"
            data = {"held": held, "reason": reason}
            event = Event(found, "", 0, writer, 0, EventKind.RUN_HELD, time.time(), 0, data, project, workspace.actor)
            workspace.tracking.append([event])
        return found

    def delete_run(self, run: str, *, everywhere: bool = False) -> None:
        """Forget a run: events, cache entries and logs; artifacts stay until they are collected.

        What a shared store has of it goes only with `everywhere`; raises `UsageError` where nobody shares the stack's.
        """
        import shutil  # start-up time: few programs delete

        found = self.run(run).id
        with self.workspace as workspace:
            if everywhere:
                if workspace.sharing is None:
                    stack = workspace.stack
                    raise UsageError(
                        f"nobody shares the artifact store of stack {stack.name!r} ({stack.artifact_store.uri})",
                        "without --everywhere the run is forgotten here",
                    )
                workspace.sharing.forget(found)
            workspace.tracking.delete_run(found)
        shutil.rmtree(self.workspace.log_folder(found), ignore_errors=True)

    def lineage(self, artifact: ArtifactView, runs: int | None = 50) -> Lineage:
        """Where an artifact comes from and goes to, as far as the newest `runs` runs know."""
        maker, step, attempt = artifact.producer
        made_from: list[tuple[str, str, str]] = []
        used_by: list[tuple[str, str, int]] = []
        with self.workspace as workspace:
            ids = dict.fromkeys([maker, *(row.id for row in self.runs(runs))])
            for event in (event for run in ids for event in workspace.tracking.events(run)):
                taken = event.data.get("inputs", {}) if event.kind == EventKind.ATTEMPT_STARTED else {}
                edges = [edge for edges in taken.values() for edge in edges]
                if event[:3] == (maker, step, attempt):
                    made_from += [(edge[0], edge[1], edge[2]) for edge in edges]
                if any(edge[2] == artifact.ref.digest for edge in edges):
                    used_by.append((event.run, event.step, event.attempt))
        return Lineage(tuple(made_from), tuple(used_by))

    def artifacts(self, run: str = LATEST) -> Iterator[ArtifactView]:
        """Every output of every step of a run."""
        for step in self.run(run).steps.values():
            yield from step.outputs.values()

    def artifact(self, digest: str, runs: int = 50) -> ArtifactView:
        """The artifact whose digest begins with `digest` (with or without `blake3:`), sought in the newest `runs` runs.

        Raises `NotFoundError`.
        """
        wanted = digest.removeprefix("blake3:")
        for row in self.runs(runs):
            for artifact in self.artifacts(row.id):
                if wanted and artifact.ref.digest.removeprefix("blake3:").startswith(wanted):
                    return artifact
        raise NotFoundError(f"no artifact {digest!r} in the newest {runs} runs", "see `core artifact list`")


def _may_be_elsewhere(run: RunRow | RunView) -> bool:
    """Whether another home may know more of a run: it is not over, and its stack was not the one that nobody shares."""
    return run.state not in ENDED_RUN and run.stack != DEFAULT
