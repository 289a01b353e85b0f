"""Holds the page on JSON-RPC against the methods and the limits that there are."""

from __future__ import annotations

import re
from pathlib import Path

from tests.jsonrpc.door import LATER_RULES, Headless, backend_of

from polygon_edge.jsonrpc import dispatch, filters, logs
from polygon_edge.jsonrpc.app import methods
from polygon_edge.jsonrpc.context import Limits
from polygon_edge.jsonrpc.fee_history import MAXIMUM_BLOCKS

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operating" / "json-rpc.md").read_text()


def table(title: str) -> list[list[str]]:
    """The cells of a section's table, without its head."""
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[1:]]


def test_every_method_is_listed_in_order() -> None:
    assert [row[0].strip("`") for row in table("Methods")] == sorted(methods(backend_of(Headless())))


def test_every_method_that_later_chains_add_or_change_is_listed() -> None:
    listed = {row[0].strip("`") for row in table("Later chains")}
    early, later = methods(backend_of(Headless())), methods(backend_of(Headless(), rules=LATER_RULES))
    assert later.keys() - early.keys() <= listed <= later.keys()
    assert str(MAXIMUM_BLOCKS) in PAGE


def test_what_is_said_to_be_tried_with_web3_is_in_its_tests() -> None:
    tests = "".join((ROOT / "tests" / room / "test_web3.py").read_text() for room in ("jsonrpc", "node"))
    for row in table("Methods"):
        for call in re.findall(r"`([^`]+)`", row[2]):
            name = call.split("…")[-1].split("(")[0].lstrip(".").split(".")[-1]
            assert f".{name}" in tests, call


def test_the_limits_are_those_of_the_program() -> None:
    limits, said = Limits(), {row[0]: row[1] for row in table("Limits")}
    assert said == {
        "connections": f"{limits.connections}",
        "header": f"{limits.header_bytes >> 10} KiB, {limits.header_seconds} seconds",
        "body": f"{limits.body_bytes >> 20} MiB, {limits.body_seconds} seconds",
        "nesting of a request": f"{dispatch.MAXIMUM_DEPTH} brackets",
        "values in a request": f"{dispatch.MAXIMUM_VALUES:,}",
        "requests and answers together": f"{limits.room_bytes >> 20} MiB",
        f"requests above {limits.small_body_bytes >> 10} KiB at once": f"{limits.large_bodies}, the others wait",
        "idle connection": f"{limits.idle_seconds} seconds",
        "client that does not read": f"{limits.stall_seconds} seconds without progress",
        "methods at once": f"{limits.threads}, the others wait",
        "gas of a call": "the block's gas limit",
        "logs in an answer": f"{logs.MAXIMUM_LOGS:,}, or {logs.MAXIMUM_LOG_BYTES >> 20} MiB of topics and data",
        "answer to a batch": f"{dispatch.MAXIMUM_BATCH_ANSWER_BYTES >> 20} MiB",
        "filters": f"{filters.MAXIMUM_FILTERS}, each for {filters.EXPIRY_SECONDS:g} seconds after its last poll",
    }
