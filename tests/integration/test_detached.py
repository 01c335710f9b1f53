"""Runs whose driver is a container: the client goes, and a second home that shares the store sees and steers them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

import core
from core.builtin.stores.local import LocalArtifactStore
from core.cli import main
from core.detach import deadline_of, unpack
from core.errors import ConfigurationError, InfrastructureError
from core.ports.service_connector import Credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from core.model.job import Job
    from core.testing.engines.docker import DockerEngine
    from core.testing.engines.registry import RegistryServer

FLOW = """
import os, time
from pathlib import Path
from core import step, pipeline

@step
def load(size: int) -> list[int]:
    return list(range(size))

@step(environment={"PASSPHRASE": "{{vault.word}}"})
def train(data: list[int]) -> int:
    print("training", len(data), "with", os.environ["PASSPHRASE"], flush=True)
    while Path("SLOW").exists():
        time.sleep(0.05)
    return sum(data)

@pipeline
def training(size: int = 3) -> None:
    train(load(size))
"""
WORD = "correct-horse-battery"
WHOLE = pytest.mark.skipif(os.environ.get("CORE_FAULTS") != "1", reason="CORE_FAULTS=1 plays the whole table")
LEFT: dict[str, set[str]] = {"container.created": {"created"}, "container.started": set()}
"""Where a client was killed, and how its driver's container is then, if it is there."""


class Cluster:
    """A project, an engine, a folder that is shared, and homes told apart by a letter."""

    def __init__(self, folder: Path, engine: DockerEngine, image: str, patch: pytest.MonkeyPatch, capfd: Any) -> None:
        self.folder, self.host, self.image = folder, engine.host, image
        self.work = folder / "work"
        self.work.mkdir()
        (self.work / "flow.py").write_text(FLOW.replace("SLOW", str(folder / "slow")))
        patch.chdir(self.work)
        patch.setattr(sys, "path", list(sys.path))
        for name, value in {"STACK": "team", "DISPLAY": "none", "HEARTBEAT": "1", "GRACE": "2"}.items():
            patch.setenv(f"CORE_{name}", value)
        self.client = docker.DockerClient(base_url=engine.host)
        self._patch, self._capfd = patch, capfd

    def core(self, home: str, *words: str, code: int = 0) -> str:
        """What a command in a home prints."""
        self._patch.setenv("CORE_HOME", str(self.folder / home))
        self._capfd.readouterr()
        sys.modules.pop("flow", None)
        ended = main(list(words))
        out, err = self._capfd.readouterr()
        assert ended == code, f"{words}: {ended}\n{out}\n{err}"
        return str(out).strip()

    def begin(self, home: str, *words: str, **environment: str) -> subprocess.Popen[str]:
        """A command in a home, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "core", *words],
            env={**os.environ, "CORE_HOME": str(self.folder / home), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def settle(self, home: str, verb: str = "register", **environment: str) -> None:
        """Register the stack in a home, which may come later than the run; `update`: other variables in containers."""
        packages, source = sysconfig.get_path("purelib"), str(Path(core.__file__).parent.parent)
        volumes = {path: f"{path}:ro" for path in (packages, source, str(self.work))} | {
            str(self.folder): str(self.folder)
        }
        settings = {"host": self.host, "image": self.image, "volumes": json.dumps(volumes)}
        settings["environment"] = json.dumps({"PYTHONPATH": f"{source}:{packages}:{self.work}", **environment})
        options = [f"--{name}={value}" for name, value in settings.items()]
        if verb == "update":
            self.core(home, "orchestrator", "update", "engine", *options)
            return
        self.core(home, "orchestrator", "register", "engine", "-f", "docker", *options)
        self.core(
            home, "artifact-store", "register", "team", "-f", "local", f"--path={self.folder}/store", "--shared=true"
        )
        self.core(home, "stack", "register", "team", "-o", "engine", "-a", "team")

    def show(self, home: str, run: str) -> dict[str, Any]:
        return dict(json.loads(self.core(home, "runs", "show", run, "-o", "json")))

    def runs(self, home: str, state: str = "") -> list[dict[str, Any]]:
        """What a home knows."""
        self.core(home, "runs", "sync")
        rows = json.loads(self.core(home, "runs", "list", "-o", "json"))
        return [row for row in rows if state in {"", row["state"]}]

    def kill_driver(self) -> None:
        """And wait until its container is removed."""
        (driver,) = [found for found in self.mine() if found.labels.get("core.driver")]
        driver.kill()
        self.until(lambda: driver.id not in {found.id for found in self.mine()})

    def once(self, run: str) -> None:
        """It is completed, each step by one attempt, and nothing is left of it."""
        shown = self.show("a", run)
        assert shown["state"] == "completed"
        assert [(step["state"], len(step["attempts"])) for step in shown["steps"]] == 2 * [("completed", 1)]
        self.until(lambda: not self.mine())

    def until(self, true: Callable[[], Any]) -> Any:
        ends = time.monotonic() + 60
        while not (found := true()):
            assert time.monotonic() < ends
            time.sleep(0.2)
        return found

    def mine(self) -> list[Any]:
        """Containers that are there on its behalf."""
        every = self.client.containers.list(all=True, ignore_removed=True)
        return [found for found in every if str(self.folder) in str(found.attrs["HostConfig"]["Binds"])]


@pytest.fixture
def cluster(
    tmp_path: Path, docker_engine: DockerEngine, base_image: str, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> Iterator[Cluster]:
    made = Cluster(tmp_path, docker_engine, base_image, monkeypatch, capfd)
    made.settle("a")
    made.core("a", "secret", "create", "vault", f"--word={WORD}")
    yield made
    ends = time.monotonic() + 10
    while (left := made.mine()) and time.monotonic() < ends:
        time.sleep(0.1)  # a driver that has ended is removed by the engine
    for found in left:
        found.remove(force=True)
    made.client.close()
    sys.modules.pop("flow", None)
    assert not left, [found.name for found in left]


def test_followed_and_cancelled_from_another_home(cluster: Cluster) -> None:
    """The client has gone; nobody sees the secret; the end of it is asked for elsewhere, then it goes on there."""
    (cluster.folder / "slow").touch()
    run = cluster.core("a", "run", "flow.py:training", "-p", "size=4", "--detach")
    shown = [found.attrs for found in cluster.mine()]
    assert WORD not in str(shown)
    cluster.settle("b")
    cluster.until(lambda: cluster.core("b", "runs", "logs", run, "train") == "training 4 with ***")
    assert cluster.show("b", run)["state"] == "running"
    cluster.core("b", "runs", "resume", run, code=5)
    cluster.core("b", "runs", "cancel", run, "--reason", "enough", "--wait", "30")
    assert [step["state"] for step in cluster.show("b", run)["steps"]] == ["completed", "cancelled"]
    cluster.until(lambda: not cluster.mine())
    (cluster.folder / "slow").unlink()
    cluster.core("b", "secret", "create", "vault", f"--word={WORD}")
    assert cluster.core("b", "runs", "resume", run, "--detach") == run
    cluster.until(lambda: cluster.show("a", run)["state"] == "completed")
    steps = cluster.show("b", run)["steps"]
    assert [(step["state"], len(step["attempts"])) for step in steps] == [("completed", 1), ("completed", 2)]


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> Iterator[Callable[..., tuple[str, str]]]:
    """Runs commands in this process, on a stack whose jobs are processes of this machine; gives what was said."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    Path("flow.py").write_text(FLOW.replace("SLOW", "slow").replace("{{vault.word}}", "open sesame"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, value in {
        "PLUGINS": "core.testing.orchestrator",
        "DISPLAY": "none",
        "HEARTBEAT": "0.5",
        "STACK": "team",
    }.items():
        monkeypatch.setenv(f"CORE_{name}", value)

    def call(*words: str, code: int = 0) -> tuple[str, str]:
        capfd.readouterr()
        sys.modules.pop("flow", None)
        ended = main(list(words))
        out, err = capfd.readouterr()
        assert ended == code, f"{words}: {ended}\n{out}\n{err}"
        return out.strip(), err

    call("orchestrator", "register", "processes", "-f", "process")
    call("artifact-store", "register", "team", "-f", "local", f"--path={tmp_path}/store", "--shared=true")
    call("stack", "register", "team", "-o", "processes", "-a", "team")
    yield call
    sys.modules.pop("flow", None)


def test_a_detached_run_reuses_and_is_seen(alone: Callable[..., tuple[str, str]]) -> None:
    first = alone("run", "flow.py:training")[0]
    run, said = alone("run", "flow.py:training", "--detach", "--tag", "nightly")
    assert "goes on without you" in said
    ends = time.monotonic() + 60
    while (shown := json.loads(alone("runs", "show", run, "-o", "json")[0]))["state"] == "running":
        assert time.monotonic() < ends
        time.sleep(0.2)
    assert (shown["state"], shown["tags"], shown["stack"]) == ("completed", ["nightly"], "team")
    assert [step["state"] for step in shown["steps"]] == ["reused", "reused"]
    assert first != run


def test_a_failed_run_goes_on_detached(alone: Callable[..., tuple[str, str]]) -> None:
    """In the same run, what has finished stays; a step that is to run once more does, although the run is completed."""
    Path("flow.py").write_text(
        "import sys\n" + Path("flow.py").read_text().replace("return sum", "open('good'); return sum")
    )
    alone("run", "flow.py:training", code=1)
    run = json.loads(alone("runs", "show", "latest", "-o", "json")[0])["id"]
    Path("good").touch()
    for words, attempts in ((["resume", run], [1, 2]), (["retry", run, "load"], [2, 3])):
        assert alone("runs", *words, "--detach")[0] == run
        ends = time.monotonic() + 60
        while (shown := json.loads(alone("runs", "show", run, "-o", "json")[0]))["state"] == "running":
            assert time.monotonic() < ends
            time.sleep(0.2)
        assert shown["state"] == "completed"
        assert [len(step["attempts"]) for step in shown["steps"]] == attempts


OWN = """
class Model:
    pass

@step
def fit() -> Model:
    return Model()

@step
def judge(model: Model) -> int:
    if not Path("good").exists():
        raise ValueError
    return 1

@pipeline
def modelling() -> None:
    judge(fit())
"""


def test_what_only_its_home_knows_of_a_run_goes_with_it(alone: Callable[..., tuple[str, str]]) -> None:
    """It began on a stack whose store nobody shares, and its finished step gave a pickle, which only its own home trusts."""
    Path("flow.py").write_text(Path("flow.py").read_text() + OWN)
    alone("run", "flow.py:modelling", "--stack", "default", code=1)
    run = json.loads(alone("runs", "show", "latest", "-o", "json")[0])["id"]
    Path("good").touch()
    alone("runs", "resume", run, "--detach")
    ends = time.monotonic() + 60
    while (shown := json.loads(alone("runs", "show", run, "-o", "json")[0]))["state"] != "completed":
        assert time.monotonic() < ends, shown
        time.sleep(0.2)
    assert [len(step["attempts"]) for step in shown["steps"]] == [1, 2]


def test_what_keeps_a_driver_from_beginning_is_told(alone: Callable[..., tuple[str, str]]) -> None:
    """It does not find the pipeline as the client compiled it; its own words come back."""
    text = Path("flow.py").read_text().replace("train(load(size))", "train(load(size + ('driver.py' in sys.argv[0])))")
    Path("flow.py").write_text("import sys\n" + text)
    said = alone("run", "flow.py:training", "--detach", code=7)[1]
    assert "could not begin" in said
    assert "is another one here than on the client" in said


def test_refused_before_anything_is_launched(alone: Callable[..., tuple[str, str]]) -> None:
    said = alone("run", "flow.py:training", "--detach", "--stack", "default", code=2)[1]
    assert "orchestrator 'default' (local) of stack 'default' can't run a driver" in said
    alone("artifact-store", "update", "team", "--shared=false")
    said = alone("run", "flow.py:training", "--detach", "--stack", "team", code=6)[1]
    assert "could not be followed" in said


def test_only_the_secrets_that_it_needs_travel(
    alone: Callable[..., tuple[str, str]], monkeypatch: pytest.MonkeyPatch, core_home: Path
) -> None:
    """Those that its steps and the stack's components refer to; not the rest of them, nor what opens the home's."""
    text = Path("flow.py").read_text()
    Path("flow.py").write_text(text.replace("open sesame", "say {{vault.word}}"))
    others = [f"{name}-that-nobody-wants" for name in ("one", "two", "three")]
    alone("secret", "create", "vault", f"--word={WORD}", f"--other={others[0]}")
    alone("secret", "create", "rest", f"--word={others[1]}")
    alone("secret", "create", "login", "--word=of-the-store", f"--other={others[2]}")
    settings = (f"--path=file://{core_home}/bucket", '--storage-options={"auto_mkdir": true, "word": "{{login.word}}"}')
    alone("artifact-store", "register", "bucket", "-f", "fsspec", "--shared=true", *settings)
    alone("stack", "update", "team", "-a", "bucket")
    told: list[Job] = []

    def keep(_: object, job: Job) -> None:
        told.append(job)
        raise InfrastructureError("kept")

    monkeypatch.setattr("core.testing.orchestrator.ProcessOrchestrator.launch", keep)
    alone("run", "flow.py:training", "--detach", code=7)
    (job,) = told
    errand, packed = unpack(job.bundle), job.bundle.decode()
    assert errand.secrets == {"vault.word": WORD}
    assert errand.store["settings"]["storage_options"]["word"] == "of-the-store"
    key = (core_home / "secrets.key").read_text().strip()
    assert not [one for one in (*others, key) if one in packed]
    assert not [one for one in (WORD, "of-the-store") if one in str(job._replace(bundle=b""))]


def test_credentials_cap_the_run(tmp_path: Path) -> None:
    """What can't be renewed there ends the run before it ends; too little of it is refused."""
    store = LocalArtifactStore(str(tmp_path))
    store.credentials = lambda: Credentials("s3-bucket", "", {"token": "x"}, time.time() + 3600)
    deadline, because = deadline_of([store])
    assert 3500 < deadline - time.time() < 3600
    assert because.startswith(
        "credentials of artifact store 'default' end then, unless the machine it runs on has a role"
    )
    store.credentials = lambda: Credentials("s3-bucket", "", {"token": "x"}, time.time() + 200)
    with pytest.raises(ConfigurationError, match="end in 3 minutes: too soon to leave a run alone with them"):
        deadline_of([store])
    store.credentials = lambda: Credentials("s3-bucket", "", {"token": "x"})
    assert deadline_of([store])[1] == ""


@WHOLE
@pytest.mark.parametrize("pickled", [False, True])
def test_a_killed_driver_s_step_is_taken_over_elsewhere(cluster: Cluster, *, pickled: bool) -> None:
    """Its container goes on; who resumes the run in another home waits for it, and begins the step no second time.

    But for one that reports a pickle: nobody there can tell who wrote that, so it is not loaded, and the step runs again.
    """
    if pickled:
        text = (cluster.work / "flow.py").read_text()
        box = "class Box:\n    pass\n\n@pipeline"
        text = text.replace("-> int", "-> object").replace("return sum(data)", "return Box()").replace("@pipeline", box)
        (cluster.work / "flow.py").write_text(text)
    (cluster.folder / "slow").touch()
    run = cluster.core("a", "run", "flow.py:training", "--detach")
    cluster.until(lambda: cluster.core("a", "runs", "logs", run, "train") == "training 3 with ***")
    cluster.kill_driver()
    cluster.until(lambda: cluster.show("a", run)["state"] == "lost")
    (before,) = cluster.mine()
    cluster.settle("b")
    cluster.core("b", "secret", "create", "vault", f"--word={WORD}")
    resumed = cluster.begin("b", "runs", "resume", run)
    cluster.until(lambda: cluster.show("a", run)["state"] == "running")
    assert [found.id for found in cluster.mine()] == [before.id]
    (cluster.folder / "slow").unlink()
    said, _ = resumed.communicate(timeout=60)
    assert resumed.returncode == 0, said
    if not pickled:
        cluster.once(run)
        assert cluster.core("a", "runs", "logs", run, "train") == "training 3 with ***"
        return
    attempts = cluster.show("a", run)["steps"][1]["attempts"]
    assert [(one["state"], (one["error"] or {}).get("type")) for one in attempts] == [
        ("failed", "JobLost"),
        ("completed", None),
    ]
    cluster.until(lambda: not cluster.mine())


PLACES = ["container.created", "container.started", "container.told", "job.launched", "job.ended"]


@WHOLE
@pytest.mark.parametrize("name", PLACES)
def test_a_driver_that_was_killed_there_is_followed_by_one_elsewhere(cluster: Cluster, name: str) -> None:
    cluster.settle("a", "update", CORE_FAILPOINTS=f"{name}=kill")  # in containers: of those the driver comes by it
    run = cluster.core("a", "run", "flow.py:training", "--detach")
    cluster.until(lambda: cluster.show("a", run)["state"] == "lost")
    cluster.settle("b")
    cluster.core("b", "secret", "create", "vault", f"--word={WORD}")
    cluster.core("b", "runs", "resume", run)
    cluster.once(run)


@WHOLE
def test_a_driver_that_was_killed_before_it_began_leaves_nothing(cluster: Cluster) -> None:
    cluster.settle("a", "update", CORE_FAILPOINTS="run.started=kill")
    cluster.core("a", "run", "flow.py:training", "--detach", code=7)
    cluster.until(lambda: not cluster.mine())
    cluster.settle("a", "update")
    run = cluster.core("a", "run", "flow.py:training", "--detach")
    cluster.until(lambda: cluster.show("a", run)["state"] == "completed")
    cluster.once(run)


@WHOLE
@pytest.mark.parametrize("name", ["container.created", "container.started", "driver.launched"])
def test_a_client_is_killed_while_it_leaves_the_run(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A driver that was told all goes on; one that was not ends, or is removed unstarted by who comes later."""
    client = cluster.begin("a", "run", "flow.py:training", "--detach", CORE_FAILPOINTS=f"{name}=kill")
    said, _ = client.communicate(timeout=60)
    assert client.returncode == -signal.SIGKILL, said
    cluster.settle("b")
    if name == "driver.launched":
        cluster.until(lambda: cluster.runs("b", "completed"))
    else:
        cluster.until(lambda: {found.status for found in cluster.mine()} == LEFT[name])
        assert not cluster.runs("b")
        cluster.core("b", "secret", "create", "vault", f"--word={WORD}")
        listed = docker.APIClient.containers
        mine = {found.id for found in cluster.mine()}
        with monkeypatch.context() as patch:
            patch.setattr(
                docker.APIClient,
                "containers",  # of other tests there are some that begin at this moment
                lambda *args, **more: [one for one in listed(*args, **more) if one["Id"] in mine],
            )
            patch.setattr("core.builtin.orchestrators.docker.STALLED", -60.0)
            cluster.core("b", "run", "flow.py:training", "--detach")
    cluster.until(lambda: cluster.runs("b", "completed"))
    (run,) = cluster.runs("b")
    cluster.once(run["id"])


@WHOLE
def test_a_killed_driver_s_run_is_ended_elsewhere(cluster: Cluster) -> None:
    """Its step goes on in its container, until another home ends the run; then nothing is left."""
    (cluster.folder / "slow").touch()
    run = cluster.core("a", "run", "flow.py:training", "--detach")
    cluster.until(lambda: "core.entrypoint" in str([found.attrs["Args"] for found in cluster.mine()]))
    cluster.kill_driver()
    cluster.until(lambda: cluster.show("a", run)["state"] == "lost")
    assert len(cluster.mine()) == 1
    cluster.core("a", "runs", "cancel", run)
    assert cluster.show("a", run)["state"] == "cancelled"
    cluster.until(lambda: not cluster.mine())


@WHOLE
def test_driver_and_steps_in_images_that_were_made(
    cluster: Cluster, oci_registry: RegistryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's image is a step's: with the code of now, core, and what reaches the engine."""
    (cluster.work / "flow.py").write_text(
        FLOW.replace("SLOW", str(cluster.folder / "slow"))
        .replace("import step, pipeline", "import ImageSettings, step, pipeline")
        .replace("@pipeline", f"@pipeline(image=ImageSettings(base_image={cluster.image!r}, requirements=()))")
    )
    cluster.core("a", "orchestrator", "register", "boxes", "-f", "docker", f"--host={cluster.host}")
    cluster.core(
        "a", "container-registry", "register", "images", "-f", "default", f"--uri={oci_registry.host}/detached"
    )
    cluster.core("a", "stack", "register", "made", "-o", "boxes", "-a", "team", "-c", "images")
    monkeypatch.setenv("CORE_STACK", "made")
    run = cluster.core("a", "run", "flow.py:training", "--detach")
    cluster.until(lambda: cluster.show("a", run)["state"] != "running")
    shown = cluster.show("a", run)
    assert shown["state"] == "completed"
    assert sorted(shown["images"]) == ["load", "train"]
    assert len(set(shown["images"].values())) == 1
    assert cluster.core("a", "runs", "logs", run, "train") == "training 3 with ***"
    assert cluster.core("a", "runs", "retry", run, "train", "--detach") == run
    cluster.until(lambda: cluster.show("a", run)["state"] != "running")
    again = cluster.show("a", run)
    assert (again["state"], again["images"]) == ("completed", shown["images"])
    assert [len(step["attempts"]) for step in again["steps"]] == [1, 2]
