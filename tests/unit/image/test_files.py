"""Which files travel."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from core.errors import ConfigurationError
from core.image.files import select

if TYPE_CHECKING:
    from pathlib import Path

KEY = "-----BEGIN PRIVATE KEY-----\nabc\n"


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root: Path, *include: str, ignore_file: str = "") -> list[str]:
    return [file.name for file in select(str(root), include, ignore_file).files]


def test_everything_travels_with_names_of_all_kinds(tmp_path: Path):
    kinds = ["a b.py", "ä/ö ü.txt", "日本.py", "pkg/__init__.py", "tab\there.py", "-rf", "z" * 200]
    write(tmp_path, **dict.fromkeys(kinds, "x"))
    with open(os.path.join(os.fsencode(tmp_path), b"not-utf8-\xff.py"), "w") as file:
        file.write("x")
    assert sorted(names(tmp_path)) == sorted([*kinds, os.fsdecode(b"not-utf8-\xff.py")])


def test_keys_environments_and_caches_never_travel(tmp_path: Path):
    stay = {
        ".env": "A=1", "sub/.env.production": "A=1", "id_rsa": "x", "deploy.pem": KEY, "my.key": KEY, ".netrc": "x",
        ".aws/credentials": "x", ".git/config": "x", ".core/core.db": "x", "env/pyvenv.cfg": "x", "env/lib/a.py": "x",
        "__pycache__/a.pyc": "x", "a.pyc": "x", ".ssh/config": "x",
    }  # fmt: skip
    go = {".env.example": "A=", "id_rsa.pub": "x", "public.pem": "-----BEGIN CERTIFICATE-----", "run.py": "x"}
    write(tmp_path, **stay, **go)
    selection = select(str(tmp_path), include=["*"])
    assert [file.name for file in selection.files] == sorted(go)
    told = " ".join(selection.left_out)
    assert all(name in told for name in (".env ", "sub/.env.production", "id_rsa ", "deploy.pem", "my.key", ".netrc"))


def test_coreignore_counts_before_gitignore(tmp_path: Path):
    write(tmp_path, **{".gitignore": "*.csv\n", "a.csv": "", "a.bin": "", "a.py": ""})
    assert names(tmp_path) == [".gitignore", "a.bin", "a.py"]
    write(tmp_path, **{".coreignore": "# data\n*.bin\n"})
    assert names(tmp_path) == [".gitignore", "a.csv", "a.py"]
    write(tmp_path, **{"other.txt": "*.py\n/*.txt\n"})
    assert names(tmp_path, ignore_file="other.txt") == [".gitignore", "a.bin", "a.csv"]
    with pytest.raises(ConfigurationError, match=r"ignore file '.*gone' can't be read: No such file"):
        names(tmp_path, ignore_file="gone")


def test_gitignore_files_of_folders_count_below_them(tmp_path: Path):
    write(tmp_path, **{
        ".gitignore": "build/\n*.log\n!keep.log\n", "a.log": "", "keep.log": "", "build/x.py": "", "pkg/build/x": "",
        "pkg/.gitignore": "/local.py\n!b.log\n", "pkg/local.py": "", "pkg/sub/local.py": "", "pkg/b.log": "",
    })  # fmt: skip
    assert names(tmp_path) == [".gitignore", "keep.log", "pkg/.gitignore", "pkg/b.log", "pkg/sub/local.py"]


def test_included_files_travel_though_they_are_ignored(tmp_path: Path):
    write(tmp_path, **{
        ".coreignore": "data/\n*.bin\n", "data/vocabulary.txt": "", "data/big/x.txt": "", "data/raw.csv": "", "m.bin": "", "n.bin": "",
    })  # fmt: skip
    assert names(tmp_path, "data/vocabulary.txt", "m.bin") == ["data/vocabulary.txt", "m.bin"]
    assert names(tmp_path, "data/big/") == ["data/big/x.txt"]
    assert names(tmp_path, "*.csv") == ["data/raw.csv"]


def test_links_travel_within_the_project_and_are_refused_out_of_it(tmp_path: Path):
    root = tmp_path / "project"
    write(root, **{"pkg/a.py": "x", "b.py": "x"})
    (root / "pkg" / "near.py").symlink_to("a.py")
    (root / "pkg" / "up.py").symlink_to(root / "b.py")
    links = {file.name: file.link for file in select(str(root)).files if file.link}
    assert links == {"pkg/near.py": "a.py", "pkg/up.py": "../b.py"}
    (root / "data").symlink_to("/usr")
    (root / "pkg" / "away.py").symlink_to("../../elsewhere.py")
    with pytest.raises(ConfigurationError, match=r"links 'data', 'pkg/away.py' below .* point out of the project"):
        select(str(root))
    write(root, **{".coreignore": "/data\naway.py\n"})
    assert "data" not in names(root)


def test_sockets_and_pipes_stay_and_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path, **{"a.py": ""})
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("agent.sock")
        os.mkfifo("pipe")
        selection = select(str(tmp_path))
    assert [file.name for file in selection.files] == ["a.py"]
    assert sorted(selection.left_out) == [f"{name} (a socket, pipe or device)" for name in ("agent.sock", "pipe")]


def test_a_huge_file_is_told_before_it_is_read(tmp_path: Path):
    write(tmp_path, **{"a.py": "x"})
    with (tmp_path / "checkpoint.bin").open("wb") as file:
        file.truncate(5_000_000_000)
    with pytest.raises(ConfigurationError, match=r"has 5 GB of files, more than 500 MB; the largest: 'checkpoint.bin'"):
        select(str(tmp_path))
    assert select(str(tmp_path), limit=6_000_000_000).size == 5_000_000_001
