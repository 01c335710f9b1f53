"""Service connectors of a project: registered, checked, built, and asked for credentials that are renewed in time."""

from core.connectors.connectors import KIND as KIND
from core.connectors.connectors import Connectors as Connectors
from core.connectors.connectors import Draft as Draft
from core.connectors.connectors import Found as Found
from core.connectors.renewing import Renewing as Renewing

__all__ = ["KIND", "Connectors", "Draft", "Found", "Renewing"]
