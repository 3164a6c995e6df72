"""Where outputs may appear: only a regular file is ever replaced, and nothing lies in a store."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memoria.config import MemoriaConfig
from memoria.errors import InputError, StorageError, StoreExistsError
from memoria.io.atomic_write import atomic_write, check_target
from memoria.io.outputs import save_arrays
from memoria.store import MemoryStore


def write(path: Path, text: str = "new", force: bool = True) -> None:
    with atomic_write(path, force) as temporary:
        temporary.write_text(text)


def test_a_regular_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write(file, "old")
    with pytest.raises(StoreExistsError, match="--force"):
        write(file, force=False)
    assert file.read_text() == "old"
    write(file)
    assert file.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("target", ["there", "nowhere", "folder"])
def test_a_link_is_never_replaced_nor_followed(tmp_path: Path, target: str) -> None:
    (tmp_path / "there").write_text("old")
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(target)
    for force in (False, True):
        with pytest.raises(StoreExistsError):
            write(link, force=force)
    assert link.readlink() == Path(target)
    assert (tmp_path / "there").read_text() == "old"
    assert not (tmp_path / "nowhere").exists()


def test_a_socket_is_never_replaced(tmp_path: Path) -> None:
    place = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.fspath(place))
        with pytest.raises(StoreExistsError, match="no regular file"):
            write(place)
        assert place.is_socket()


@pytest.mark.parametrize("force", [False, True])
def test_a_pipe_is_written_to_and_stays(tmp_path: Path, force: bool) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write(pipe, "through it", force)
    reader.join()
    assert read == ["through it"]
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_link_to_a_device_is_written_through(tmp_path: Path) -> None:
    link = tmp_path / "out"
    link.symlink_to("/dev/null")
    write(link)
    assert link.is_symlink()
    write(Path("/dev/null"))
    assert Path("/dev/null").is_char_device()


def test_a_stream_takes_no_folder(tmp_path: Path) -> None:
    link = tmp_path / "out"
    link.symlink_to("/dev/null")
    with pytest.raises(InputError, match="not a folder"), atomic_write(link) as temporary:
        temporary.mkdir()


def test_standard_output_goes_on_where_it_stands(tmp_path: Path) -> None:
    """A file that the shell appends to keeps what it has."""
    program = (
        "import sys\n"
        "from memoria.io.atomic_write import atomic_write\n"
        "for name in ('/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'):\n"
        "    with atomic_write(name, True) as temporary:\n"
        "        temporary.write_text(name + '\\n')\n"
    )
    out = tmp_path / "out"
    out.write_text("before\n")
    with out.open("a") as file:
        subprocess.run([sys.executable, "-c", program], stdout=file, check=True)
    assert out.read_text().split() == ["before", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stdout.split() == [b"/dev/stdout", b"/dev/fd/1", b"/proc/self/fd/1"]


def test_nothing_is_written_into_any_store(tmp_path: Path) -> None:
    MemoryStore.create(tmp_path / "s", MemoriaConfig(hidden_dim=4)).close()
    (tmp_path / "link").symlink_to("s")
    (tmp_path / "s" / "deep").mkdir()
    for place in ("s/a.npy", "s/log/ids/a.npy", "s/deep/a.npy", "link/a.npy", "s/../link/a.npy"):
        for check in (check_target, write):
            with pytest.raises(InputError, match="lies in the store itself"):
                check(tmp_path / place)
    with pytest.raises(InputError, match="lies in the store itself"):
        MemoryStore.create(tmp_path / "s" / "inner", MemoriaConfig(hidden_dim=4))
    write(tmp_path / "beside.txt")


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    write(file, "old")

    def fail() -> None:
        with atomic_write(file, True) as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert file.read_text() == "old"
    with pytest.raises(StorageError):
        write(tmp_path / "none" / "a.txt")
    assert os.listdir(tmp_path) == ["a.txt"]


def test_arrays_beside_a_plain_zarr_group_are_no_store(tmp_path: Path) -> None:
    import numpy as np

    save_arrays(tmp_path / "g.zarr", {"x": np.zeros(3)})
    save_arrays(tmp_path / "g.zarr" / "y.npy", {"y": np.zeros(3)})
    assert (tmp_path / "g.zarr" / "y.npy").is_file()
