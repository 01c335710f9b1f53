"""The `s3` artifact store against moto: the suite, settings, and what a bucket can refuse."""

from __future__ import annotations

import pytest

from core.testing.suites.artifact_store import ArtifactStoreSuite


class TestS3(ArtifactStoreSuite):
    @pytest.fixture
    def store(self, s3):
        return s3()
