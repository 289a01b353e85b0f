"""Pipes can be left at any moment: while nobody takes what they are given, and while they have nothing to give."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from polygon_edge.archive.interruptible import InterruptibleFile, InterruptibleOutput
from polygon_edge.errors import StoppedBySignalError

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = os.urandom(1_000_000)


def test_a_file_takes_everything(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as stream:
        output = InterruptibleOutput(stream.fileno(), threading.Event())
        output.write(CONTENT)
        output.write(b"")
    assert (tmp_path / "out").read_bytes() == CONTENT


def test_a_slow_reader_gets_everything() -> None:
    reader, writer = os.pipe()
    found = bytearray()

    def read() -> None:
        while piece := os.read(reader, 50_000):
            found.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    InterruptibleOutput(writer, threading.Event()).write(CONTENT)
    os.close(writer)
    thread.join(20)
    os.close(reader)
    assert found == CONTENT


def test_a_reader_that_takes_nothing_is_left_once_asked_to_stop() -> None:
    reader, writer = os.pipe()
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedBySignalError):
        InterruptibleOutput(writer, stop).write(CONTENT)
    assert 0.1 < time.monotonic() - began < 5
    os.close(reader)
    os.close(writer)


def test_a_reader_that_is_gone_is_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        InterruptibleOutput(writer, threading.Event()).write(CONTENT)
    os.close(writer)


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
