"""Put COUNT stacks, and a component, a connector and a secret for each, into `CORE_HOME`: `fill_catalog.py COUNT`."""

import sys

from core.ports.catalog import Entry
from core.workspace import Workspace


def entries(number):
    settings = {"path": f"s3://bucket/{number}"}
    component = {"flavor": "s3", "settings": settings, "connector": f"cloud_{number}", "resource_id": ""}
    yield Entry("artifact_store", f"store_{number}", 0, component)
    yield Entry("stack", f"stack_{number}", 0, {"components": {"artifact_store": f"store_{number}"}})
    connector = {"type": "aws", "method": "secret-key", "settings": {}, "secrets": {"aws_secret_access_key": "core1:"}}
    yield Entry("service_connector", f"cloud_{number}", 0, connector)
    yield Entry("secret", f"secret_{number}", 0, {"values": {"password": "core1:"}})


with Workspace() as workspace:
    for number in range(int(sys.argv[1])):
        for entry in entries(number):
            workspace.catalog.put(entry)
