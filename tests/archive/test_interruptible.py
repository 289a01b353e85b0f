"""Output that can be left while nobody takes it."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from polygon_edge.archive.interruptible import InterruptibleOutput
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
