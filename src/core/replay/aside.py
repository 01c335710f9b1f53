"""One attempt that leaves nothing behind: no event, no log, no artifact in the store."""

from __future__ import annotations

from core.artifacts import load
from core.capture import Capture
from core.errors import RunFailed
from core.execute import Bench, Task, perform
from core.model.event import EventKind
from core.ports.artifact_store import ArtifactStore
from core.record import run_id
from core.text import short
from core.view import ArtifactView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO, ClassVar

    from core.model.graph import Node
    from core.ports.artifact_store import Blob, Upload
    from core.replay.want import Wanted
    from core.workspace import Workspace


def aside(workspace: Workspace, wanted: Wanted, node: Node) -> tuple[dict[str, ArtifactView], dict[str, Any]]:
    """Its outputs, and what it logged. Raises `RunFailed`, whose `run` is the one that is replayed."""
    view = wanted.view
    metadata: dict[str, Any] = {}
    store, materializers = _Beside(workspace.stack.artifact_store), workspace.registry.materializers()

    def emit(kind: str, _step: str = "", _attempt: int = 0, **data: Any) -> None:
        if kind == EventKind.METADATA:
            metadata.update(data["values"])

    bench = Bench(
        run_id(),
        wanted.pipeline,
        emit,
        _Unheard(""),
        store,
        materializers,
        workspace.tracking.recorded,
        workspace.settings.inline_limit,
        workspace.opener,
    )
    result = perform(bench, Task(node, wanted.spec, wanted.decision, 1, wanted.taken))
    if isinstance(result.error, Exception | SystemExit):
        failed = RunFailed(
            f"step {node.id!r} of run {short(view.id)} failed when it was replayed", "nothing of this was recorded"
        )
        failed.run = view
        raise failed from result.error
    if result.error is not None:
        raise result.error
    made = {digest for ref in result.outputs.values() for digest in (ref.digest, *ref.parts)}
    source = view._source._replace(
        load=lambda ref: load(ref, store=store, materializers=materializers, trusted=made.__contains__)
    )
    outputs = {
        name: ArtifactView(name, ref, (bench.run, node.id, 1), source)
        for name, ref in result.outputs.items()
        if "[" not in name
    }
    return outputs, metadata


class _Unheard(Capture):
    """Leaves what is printed to the terminal alone."""

    def begin(self, step: str, attempt: int) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class _Beside(ArtifactStore):
    """Reads what another store has, and writes to a folder that goes away with it."""

    flavor: ClassVar[str] = "beside"

    def __init__(self, under: ArtifactStore) -> None:
        import tempfile  # start-up time: beside the next, only a replay without record

        from core.builtin.stores.local import LocalArtifactStore  # start-up time: the same

        super().__init__()
        folder = tempfile.mkdtemp(prefix="core-replay-")
        self._under = under
        self._over = LocalArtifactStore(folder)
        self.uri = under.uri
        self._remove(folder)

    def _remove(self, folder: str) -> None:
        import shutil  # start-up time: the same
        import weakref  # start-up time: the same

        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    def begin(self) -> Upload:
        """Write beside."""
        return self._over.begin()

    def open(self, digest: str) -> BinaryIO:
        """The blob of either."""
        return self._of(digest).open(digest)

    def path(self, digest: str) -> str | None:
        """The file of either."""
        return self._of(digest).path(digest)

    def exists(self, digest: str) -> bool:
        """Whether either has it."""
        return self._of(digest).exists(digest)

    def delete(self, digest: str) -> None:
        """Remove what was written here."""
        self._over.delete(digest)

    def list(self) -> Iterator[Blob]:
        """What was written here."""
        return self._over.list()

    def _of(self, digest: str) -> ArtifactStore:
        return self._over if self._over.exists(digest) else self._under
