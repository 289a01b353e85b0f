"""The feed of new heads: everyone is told, in order, and one that fails does not silence the rest."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from polygon_edge.execution.head_feed import HeadFeed

if TYPE_CHECKING:
    import pytest


def test_every_subscriber_is_told_until_it_leaves() -> None:
    feed = HeadFeed()
    first: list[tuple[int, bytes]] = []
    second: list[tuple[int, bytes]] = []
    leave = feed.subscribe(lambda number, hash: first.append((number, hash)))
    feed.subscribe(lambda number, hash: second.append((number, hash)))
    feed.publish(1, b"a" * 32)
    leave()
    leave()
    feed.publish(2, b"b" * 32)
    assert first == [(1, b"a" * 32)]
    assert second == [(1, b"a" * 32), (2, b"b" * 32)]


def test_a_subscriber_that_fails_is_logged_and_the_rest_are_told(caplog: pytest.LogCaptureFixture) -> None:
    feed = HeadFeed()
    told: list[int] = []

    def fail(number: int, _hash: bytes) -> None:
        raise ValueError(number)

    feed.subscribe(fail)
    feed.subscribe(lambda number, _hash: told.append(number))
    with caplog.at_level(logging.ERROR, logger="polygon_edge"):
        feed.publish(7, bytes(32))
    assert told == [7]
    assert "block 7" in caplog.text
