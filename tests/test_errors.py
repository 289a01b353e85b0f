from __future__ import annotations

import errno
import json

import pytest

from polygon_edge import errors
from polygon_edge.errors import (
    ArchiveReadError,
    BlockRuleError,
    DataDirectoryError,
    DiskFullError,
    GenesisError,
    PoolError,
    Refusal,
    Rule,
    StoppedBySignalError,
)


def test_a_broken_rule_reads_from_file_to_value() -> None:
    error = BlockRuleError(
        Rule.TRANSACTIONS_ROOT, 21, file="archive.dat", offset=40547, expected=b"\x01\x02", found=b"\x03\x04"
    )
    assert str(error) == "archive.dat: byte 40547: block 21: transactions root: expected 0x0102, found 0x0304"


def test_a_broken_rule_without_an_archive_names_the_block_only() -> None:
    error = BlockRuleError(Rule.NUMBER, 5, hash=b"\x00" * 32, expected=4, found=5)
    assert str(error) == "block 5: number: expected 4, found 5"
    assert error.hash == bytes(32)


@pytest.mark.parametrize(
    ("rule", "what", "text"),
    [
        (Rule.NUMBER, "number", "block 5: number: expected a, found b"),
        (Rule.COMMITTED_SEALS, "seals", "block 5: committed seals: expected a, found b"),
        (Rule.COMMITTED_SEALS, "seal 0", "block 5: committed seals: seal 0: expected a, found b"),
        (Rule.EXTRA_DATA, "extra data at byte 32", "block 5: extra data: at byte 32: expected a, found b"),
        (Rule.EXECUTION, "gasUsed", "block 5: execution: gasUsed: expected a, found b"),
    ],
)
def test_a_broken_rule_is_not_said_twice(rule: Rule, what: str, text: str) -> None:
    error = BlockRuleError(rule, 5, what=what, expected="a", found="b")
    assert str(error) == text
    assert error.what == what


def test_a_path_is_not_said_twice() -> None:
    assert str(DataDirectoryError("/data", "/data/trie not found")) == "/data/trie not found"
    assert str(DataDirectoryError("/data", "not found")) == "/data: not found"


def test_a_message_cannot_command_a_terminal() -> None:
    error = GenesisError("g.json", "params.\x1b[2J", "a fork", "two\nlines, and 日本語")
    assert str(error) == "g.json: params.\\x1b[2J: expected a fork, found two\\nlines, and 日本語"
    assert error.path == "params.\x1b[2J"


def test_a_medium_that_gave_nothing_has_no_byte() -> None:
    failure = OSError(errno.EIO, "Input/output error")
    assert str(ArchiveReadError("a.dat", 0, failure)) == "a.dat: cannot be read: Input/output error"
    assert str(ArchiveReadError("a.dat", 7, failure)) == "a.dat: byte 7: cannot be read: Input/output error"


def test_a_document_has_every_known_field_as_json_can_say_it() -> None:
    error = BlockRuleError(
        Rule.NUMBER, 5, hash=b"\x01" * 32, what="number", offset=7, expected=5, found=4, file="a.dat"
    )
    assert json.loads(json.dumps(error.document())) == {
        "error": "a.dat: byte 7: block 5: number: expected 5, found 4",
        "kind": "BlockRuleError",
        "exit_code": 11,
        "rule": "number",
        "what": "number",
        "number": 5,
        "hash": "0x" + "01" * 32,
        "offset": 7,
        "expected": 5,
        "found": 4,
        "file": "a.dat",
    }


def test_rules_are_ordered_as_they_are_checked() -> None:
    assert [rule.position for rule in Rule] == list(range(15))
    assert Rule.RECORD.position < Rule.PARENT_LINK.position < Rule.EXECUTION.position


@pytest.mark.parametrize(
    ("family", "code"),
    [
        ("PolygonEdgeError", 1),
        ("UsageError", 2),
        ("ArchiveError", 10),
        ("SourceError", 10),
        ("BlockRuleError", 11),
        ("GenesisError", 12),
        ("DataDirectoryError", 13),
        ("DiskFullError", 14),
        ("PoolError", 1),
        ("StoppedBySignalError", 130),
    ],
)
def test_every_family_has_its_exit_code_and_its_members_share_it(family: str, code: int) -> None:
    root = getattr(errors, family)
    assert root.exit_code == code
    if family != "PolygonEdgeError":
        assert all(member.exit_code == code for member in root.__subclasses__())


def test_every_error_of_the_module_is_drawn_in_its_tree() -> None:
    drawing = errors.__doc__ or ""
    classes = [name for name, value in vars(errors).items() if isinstance(value, type) and name.endswith("Error")]
    assert len(classes) > 10
    assert [name for name in classes if name not in drawing] == []


def test_a_full_disk_says_what_is_needed_and_what_is_there() -> None:
    assert str(DiskFullError("/data", 100, 7)) == "/data: disk full: needs 100 bytes, has 7 bytes"
    assert str(DiskFullError("/data", None, 7)) == "/data: disk full: more space is needed, has 7 bytes"


def test_a_stop_names_the_last_finished_block() -> None:
    assert str(StoppedBySignalError(7)) == "stopped by a signal after block 7"
    assert str(StoppedBySignalError(None)) == "stopped by a signal"


def test_a_refused_transaction_has_the_text_that_tools_compare_and_the_rest_as_fields() -> None:
    error = PoolError(Refusal.NONCE_TOO_LOW, hash=b"\x01" * 32, expected="at least 5", found=3)
    assert str(error) == "nonce too low"
    assert error.document() == {
        "error": "nonce too low",
        "kind": "PoolError",
        "exit_code": 1,
        "refusal": "nonce too low",
        "hash": "0x" + "01" * 32,
        "expected": "at least 5",
        "found": 3,
    }
    assert str(PoolError(Refusal.MALFORMED, problem="not a list")) == "not a list"
