"""A journal that comes in pieces: twice, in any order, seen late; what a home knows in the end is the ordered replay."""

import os
import random
import tempfile
from contextlib import contextmanager

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.builtin.journal.batch import publish
from core.builtin.journal.sync import Exchange
from core.builtin.sqlite.connection import Database
from core.builtin.sqlite.tracking import SqliteTrackingStore
from core.ports.artifact_store import Named
from core.testing.artifact_store import MemoryArtifactStore
from core.testing.suites.sample import answers_of, history

EXAMPLES = 300 if os.environ.get("CORE_FAULTS") == "1" else 25


class Late(MemoryArtifactStore):
    """Its listings lack some of what is there, and tell of some that is not, until it is `settled`."""

    def __init__(self, chance):
        super().__init__()
        self.chance, self.settled = chance, False

    def names(self, folder):
        for each in super().names(folder):
            if self.settled or self.chance.random() < 0.7:
                yield each
            elif self.chance.random() < 0.2:
                yield Named(each.name.replace("-", "-0", 1)[:-1] + "n", 1, 1.0)


@contextmanager
def home(folder, name):
    database = Database(os.path.join(folder, name))
    yield SqliteTrackingStore(database)
    database.close()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32))
def test_pieces_in_any_order_are_the_ordered_replay(seed):
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    events, area = history(chance), Late(chance)
    order = events + chance.sample(events, len(events) // 3)
    chance.shuffle(order)
    with tempfile.TemporaryDirectory() as folder, home(folder, "a") as here, home(folder, "b") as reference:
        exchange = Exchange(area, here)
        here.trusted = reference.trusted = {"", area.uri}
        while order:
            size = chance.randint(1, 6)
            publish(area, list({event[:5]: event for event in order[:size]}.values()), {})
            del order[:size]
            if chance.random() < 0.5:
                exchange = chance.choice([exchange, Exchange(area, here)])  # by one process, or by another
                assert not exchange.sync().aside
        area.settled = True
        exchange.sync()
        assert exchange.sync().events == Exchange(area, here).sync().events == 0
        reference.fold(area.uri, [], sorted(events, key=lambda event: event[:5]), {})
        assert answers_of(here) == answers_of(reference)
