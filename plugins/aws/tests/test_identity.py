"""A detached driver on a machine with a role: it goes on when what its client lent has ended, where the role lets it."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from core.cli import main
from core.testing.engines.aws import EVERYTHING, statement

LIFE, LONG = 6.0, 9
FLOW = f"""
import time
from core import pipeline, step

@step
def slow() -> bytes:
    time.sleep({LONG})
    return bytes(100_000)

@pipeline
def long() -> None:
    slow()
"""


class Metadata(BaseHTTPRequestHandler):
    """What a VM answers to SDKs on it: the keys of its role."""

    keys: dict[str, str]

    def do_PUT(self):
        self._say("a token")

    def do_GET(self):
        self._say("role" if self.path.endswith("security-credentials/") else json.dumps(self.keys))

    def _say(self, text):
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture
def machine(aws, monkeypatch):
    """Gives this machine a role."""
    servers = []

    def give(*statements):
        session = aws.session(aws.user(*statements))
        ends = datetime.fromtimestamp(time.time() + 3600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys = {"AccessKeyId": session.access_key_id, "SecretAccessKey": session.secret_access_key}
        keys |= {"Code": "Success", "Type": "AWS-HMAC", "Token": session.session_token, "Expiration": ends}
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Role", (Metadata,), {"keys": keys}))
        servers.append(server)
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.delenv("AWS_EC2_METADATA_DISABLED")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_port}")

    yield give
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def ended(aws, tmp_path, monkeypatch, capsys):
    """Runs the pipeline detached with credentials that are soon over; gives what became of it."""
    monkeypatch.chdir(tmp_path)
    Path("flow_identity.py").write_text(FLOW)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr("core.detach.LEAST", -1000.0)
    for name, value in {"PLUGINS": "core.testing.orchestrator", "DISPLAY": "none", "HEARTBEAT": "0.5"}.items():
        monkeypatch.setenv(f"CORE_{name}", value)
    user = aws.user(EVERYTHING)
    role = aws.role(EVERYTHING, trusts=[user])
    keys = [f"--aws_access_key_id={user.access_key_id}", f"--aws_secret_access_key={user.secret_access_key}"]
    place = [f"--role_arn={role}", f"--region={aws.region}", f"--endpoint_url={aws.endpoint}"]
    for command in (
        ["service-connector", "register", "short", "--type", "aws", "--auth-method", "iam-role", *keys, *place],
        ["artifact-store", "register", "team", "-f", "s3", f"--path=s3://{aws.bucket()}/team", "--connector", "short"],
        ["orchestrator", "register", "processes", "-f", "process"],
        ["stack", "register", "team", "-o", "processes", "-a", "team"],
    ):
        assert main(command) == 0
    monkeypatch.setenv("CORE_STACK", "team")

    def run():
        aws.lifetime(role, LIFE)
        capsys.readouterr()
        assert main(["run", "flow_identity.py:long", "--detach"]) == 0
        name, said = capsys.readouterr()
        assert "end then, unless the machine it runs on has a role that opens the same" in said
        aws.lifetime(role, 3600)
        return shown(name.strip())

    def shown(run):
        until = time.monotonic() + 60
        while True:
            main(["runs", "show", run, "-o", "json"])
            found = json.loads(capsys.readouterr()[0])
            if found["state"] != "running":
                return found
            assert time.monotonic() < until
            time.sleep(0.3)

    yield run
    sys.modules.pop("flow_identity", None)


def test_it_renews_what_its_machine_opens(machine, ended):
    machine(EVERYTHING)
    assert ended()["state"] == "completed"


def test_it_ends_in_time_where_its_machine_may_only_read(machine, ended):
    machine(statement("s3:Get*", "s3:List*", "sts:GetSessionToken"))
    found = ended()
    assert found["state"] == "cancelled"
    assert "credentials of artifact store 'team' end, and this machine can't renew them: " in str(found)
    assert "PutObject" in str(found)


def test_it_ends_in_time_where_its_machine_has_no_role(ended):
    found = ended()
    assert found["state"] == "cancelled"
    assert "this machine can't renew them: AWS: this machine has no credentials" in str(found)
