"""The layer of the code."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from core.errors import ConfigurationError
from core.image.files import select
from core.image.layer import BLOCK, write_layer

if TYPE_CHECKING:
    from pathlib import Path

    from core.oci.image import Layer


def pack(root: Path) -> tuple[Layer, bytes]:
    out = io.BytesIO()
    layer = write_layer(select(str(root)).files, "app", out)
    return layer, out.getvalue()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "pkg" / "ä ö").mkdir(parents=True)
    (root / "pkg" / "ä ö" / "größe.py").write_text("x = 1\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o700)
    (root / "big.bin").write_bytes(os.urandom(1000) * 4000)
    (root / "empty.py").touch()
    (root / ("long" * 40)).touch()
    (root / "link.sh").symlink_to("run.sh")
    return root


def test_the_files_are_in_it(project: Path, tmp_path: Path):
    layer, packed = pack(project)
    assert layer.digest == f"sha256:{sha256(packed).hexdigest()}"
    assert layer.size == len(packed)
    plain = gzip.decompress(packed)
    assert layer.diff_id == f"sha256:{sha256(plain).hexdigest()}"
    with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
        assert {(m.uid, m.gid, m.mtime, m.uname) for m in tar} == {(1000, 1000, 0, "")}
        modes = {m.name: m.mode for m in tar}
        tar.extractall(tmp_path / "out", filter="data")
    assert (modes["app/run.sh"], modes["app/empty.py"], modes["app"]) == (0o755, 0o644, 0o755)
    for path in project.rglob("*"):
        there = tmp_path / "out" / "app" / path.relative_to(project)
        assert there.is_dir() if path.is_dir() else there.read_bytes() == path.read_bytes()
    assert (tmp_path / "out" / "app" / "link.sh").readlink().name == "run.sh"


def test_the_same_files_give_the_same_bytes(project: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    for name in sorted(os.listdir(project), reverse=True):
        source = project / name
        copy.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy / name)
        else:
            shutil.copy(source, copy / name, follow_symlinks=False)
    (copy / "empty.py").chmod(0o600)
    os.utime(copy / "big.bin", (1, 1))
    (copy / "nothing-in-it").mkdir()
    assert pack(copy) == pack(project)
    (copy / "empty.py").chmod(0o700)
    assert pack(copy)[0].diff_id != pack(project)[0].diff_id


def test_bytes_do_not_hang_on_the_number_of_cores(project: Path, monkeypatch: pytest.MonkeyPatch):
    (project / "exact.bin").write_bytes(bytes(3 * BLOCK))
    first = pack(project)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(7))
    assert pack(project) == first


def test_a_file_that_grows_meanwhile_is_told(project: Path):
    files = select(str(project)).files
    with (project / "run.sh").open("a") as file:
        file.write("more")
    with pytest.raises(ConfigurationError, match=r"run.sh' changed while it was read"):
        write_layer(files, "app", io.BytesIO())
