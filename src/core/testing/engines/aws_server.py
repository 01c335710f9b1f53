"""A program: moto's server with real authorisation, and with what moto leaves out of sessions, logins and clusters.

Run as `python -m core.testing.engines.aws_server PORT FOLDER`. What it adds, so that a test fails as it would in AWS:
session and federation tokens are real keys; sessions expire; session policies, and roles that do not exist, refuse; a
login for the container registry is new each time, expires, and is checked by a token realm (`/core/token`); a cluster's
token is verified (`/core/cluster-token`). `/core/lifetime` shortens the life of sessions and logins.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto import settings
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from core.testing.engines import aws_lists, aws_realm, aws_sessions

if TYPE_CHECKING:
    from collections.abc import Iterable


class Application:
    """Answers `/core/...` itself; all else is moto's."""

    def __init__(self, folder: Path) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._realm = aws_realm.Realm(folder)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if not environ.get("PATH_INFO", "").startswith("/core/"):
            return self._moto(environ, start_response)  # type: ignore[no-any-return]
        return self._own(Request(environ))(environ, start_response)

    def _own(self, request: Request) -> Response:
        if request.path == "/core/token":
            status, body = self._realm.answer(request.authorization, request.args.getlist("scope"))
        elif request.path == "/core/cluster-token":
            status, body = aws_realm.verify_cluster_token(**json.loads(request.data))
        elif request.path == "/core/lifetime":
            aws_sessions.lifetimes.update(json.loads(request.data))
            status, body = 200, {}
        else:
            status, body = 404, {"error": f"no {request.path}"}
        headers = {"WWW-Authenticate": "Basic"} if status == 401 else {}
        return Response(json.dumps(body), status, headers, content_type="application/json")


class _Handler(MotoRequestHandler):
    """Keeps connections open, as AWS does, and logs nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, *_: object) -> None:
        pass


def main(port: int, folder: Path) -> None:
    """Serve until the process ends."""
    aws_sessions.install()
    aws_lists.install()
    aws_realm.install(folder)
    settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
    server = make_server("127.0.0.1", port, Application(folder), threaded=True, request_handler=_Handler)
    sys.stdout.write(f"ready at {time.time()}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
