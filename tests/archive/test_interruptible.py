"""Reading from a pipe can be left at any moment, also before somebody writes to it at all."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from polygon_edge.archive.interruptible import InterruptibleFile
from polygon_edge.errors import StoppedBySignalError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_that_nobody_writes_to_yet_is_opened_and_left_at_once(pipe: Path) -> None:
    stop = threading.Event()
    began = time.monotonic()
    with InterruptibleFile(pipe, stop) as stream:
        threading.Timer(0.05, stop.set).start()
        with pytest.raises(StoppedBySignalError):
            stream.read(1)
    assert time.monotonic() - began < 5


def test_a_writer_that_comes_later_is_waited_for_and_read_to_its_end(pipe: Path) -> None:
    content = bytes(range(256)) * 1024

    def write() -> None:
        time.sleep(0.15)
        with pipe.open("wb") as stream:
            stream.write(content)

    writer = threading.Thread(target=write)
    writer.start()
    with InterruptibleFile(pipe, threading.Event()) as stream:
        assert stream.readall() == content
    writer.join()


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    with InterruptibleFile(file, threading.Event()) as stream:
        assert stream.read(4) == b"0123"
        assert stream.tell() == 4
        assert stream.readall() == b"456789"
