"""What the objects of a journal are called.

`runs/RUN/WRITER/SEQ-DIGEST.json` holds a batch of one writer's events: `SEQ` is the number of the first, `DIGEST` that
of the object's bytes, so that the same batch twice is one object. `runs/NAME/@lease/EPOCH` is the newest renewal of a
lease in an epoch, `EPOCH.over` beside it says that it was given up, `claims/NAME` is a claim.
"""

from __future__ import annotations

from urllib.parse import quote

from blake3 import blake3

from core.model.value import Value
from core.ports.artifact_store import is_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.ports.artifact_store import Named

RUNS = "runs"
CLAIMS = "claims"
LEASE = "@lease"
OVER = ".over"
CLOCK = "clock-"
"""What an object is called that was only written to learn the store's time."""
NOBODY = "-"
"""In the place of run and writer: documents that came without events."""
STRANGE = "it is no part of a journal"
LARGEST = 64 << 20
"""Bytes of an object that is read at all."""
SMALL = 1 << 16
"""Bytes of a lease that is read."""
_LONGEST = 120


def spelled(name: str) -> str:
    """Any name as a part of an object's name: never `@...`, never two alike."""
    text = quote(name.encode("utf-8", "surrogatepass"), safe="").replace("~", "%7E")
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}={blake3(name.encode('utf-8', 'surrogatepass')).hexdigest(16)}"
    return text.replace(".", "%2E", 1) if text.startswith(".") else text or "="


def folder_of(run: str) -> str:
    """Where everything of a run lies."""
    return f"{RUNS}/{spelled(run)}"


def batch_name(run: str, writer: str, seq: int, data: bytes) -> str:
    """The object that holds `data`."""
    return f"{folder_of(run)}/{spelled(writer)}/{seq:010}-{digest_of(data)}.json"


def digest_of(data: bytes) -> str:
    """What names the bytes in an object's name."""
    return blake3(data).hexdigest(16)


def lease_folder(name: str) -> str:
    """Where the epochs of a lease lie."""
    return f"{folder_of(name)}/{LEASE}"


class LeaseMark(Value):
    """The newest epoch of a lease, as a listing tells it."""

    name: str
    """The object."""
    epoch: int
    modified: float
    """Seconds since 1970 by the store's clock."""
    over: bool
    """Whether it was given up."""


class Listing(Value):
    """What a listing of a journal tells."""

    batches: list[str]
    """Names of objects with events."""
    leases: dict[str, LeaseMark]
    """The newest epoch by the spelled name of what is held."""
    strange: dict[str, str]
    """Names that are none of a journal's, or are not read, and why."""


def sort(found: Iterable[Named]) -> Listing:
    """A listing of a journal, or of a part of it."""
    listing = Listing([], {}, {})
    over = set()
    for each in found:
        parts = each.name.split("/")
        if len(parts) == 4 and parts[2] == LEASE:
            epoch = parts[3].removesuffix(OVER)
            if epoch.startswith(CLOCK):
                continue
            if not (epoch.isascii() and epoch.isdecimal()) or len(epoch) > 15 or each.size > SMALL:
                listing.strange[each.name] = STRANGE
            elif epoch != parts[3]:
                over.add((parts[1], int(epoch)))
            elif parts[1] not in listing.leases or listing.leases[parts[1]].epoch < int(epoch):
                listing.leases[parts[1]] = LeaseMark(each.name, int(epoch), each.modified, over=False)
        elif why := _strange(each):
            listing.strange[each.name] = why
        else:
            listing.batches.append(each.name)
    for name, mark in listing.leases.items():
        if (name, mark.epoch) in over:
            listing.leases[name] = mark._replace(over=True)
    return listing


def _strange(each: Named) -> str:
    """Why an object is not read for its events; empty when it is."""
    if each.name.count("/") != 3 or not each.name.endswith(".json") or not is_name(each.name):
        return STRANGE
    return f"it has {each.size:,} bytes, more than {LARGEST:,}" if each.size > LARGEST else ""
