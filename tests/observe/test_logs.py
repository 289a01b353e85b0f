import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from polygon_edge.observe.logs import ROOT_LOGGER_NAME, LogLevel, configure_logging


@pytest.fixture(autouse=True)
def package_logger() -> Iterator[logging.Logger]:
    """The package's logger, given back as it was."""
    logger = logging.getLogger(ROOT_LOGGER_NAME)
    handlers, level, propagate = logger.handlers[:], logger.level, logger.propagate
    yield logger
    logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate


def test_a_line_has_time_in_utc_level_module_and_message() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    logging.getLogger("polygon_edge.archive.flat").info("block %d", 7)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[INFO\] archive\.flat: block 7\n", stream.getvalue())


def test_a_message_cannot_forge_a_second_line() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    logging.getLogger("polygon_edge.restore").error("found %s", "x\r\n2026-01-01T00:00:00.000Z [INFO] restore: done")
    assert stream.getvalue().count("\n") == 1
    assert "x\\r\\n2026" in stream.getvalue()


def test_an_exception_is_shown_with_its_traceback() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    try:
        raise ValueError("the reason")
    except ValueError:
        logging.getLogger("polygon_edge.restore").exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("[ERROR] restore: failed")
    assert rest[0] == "Traceback (most recent call last):"
    assert rest[-1] == "ValueError: the reason"


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        (LogLevel.DEBUG, ["debug", "info", "warning", "error"]),
        (LogLevel.INFO, ["info", "warning", "error"]),
        (LogLevel.WARN, ["warning", "error"]),
        (LogLevel.ERROR, ["error"]),
    ],
)
def test_a_level_shows_itself_and_what_is_graver(level: LogLevel, shown: list[str]) -> None:
    stream = io.StringIO()
    logger = configure_logging(level, stream)
    for name in ("debug", "info", "warning", "error"):
        getattr(logger, name)(name)
    assert [line.rsplit(" ", 1)[1] for line in stream.getvalue().splitlines()] == shown


def test_a_second_configuration_replaces_the_first() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging(stream=first)
    configure_logging(stream=second).info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_lines_go_to_standard_error_unless_told_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging().warning("here")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "here" in captured.err


def test_the_root_logger_of_an_embedding_program_sees_nothing() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    try:
        configure_logging(stream=io.StringIO()).error("ours")
    finally:
        logging.getLogger().removeHandler(handler)
    assert stream.getvalue() == ""


def test_a_json_line_has_the_go_clients_keys() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream, as_json=True)
    logging.getLogger("polygon_edge.node").warning("careful\n%d", 7)
    document = json.loads(stream.getvalue())
    assert document.pop("@timestamp").endswith("Z")
    assert document == {"@level": "warning", "@module": "polygon.node", "@message": "careful\n7"}
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("TRACE", LogLevel.TRACE),
        ("Warn", LogLevel.WARN),
        ("off", LogLevel.OFF),
        ("loud", LogLevel.INFO),
        ("", LogLevel.INFO),
    ],
)
def test_an_unknown_level_is_info(text: str, level: LogLevel) -> None:
    assert LogLevel.named(text) is level


def test_off_shows_nothing() -> None:
    stream = io.StringIO()
    configure_logging(LogLevel.OFF, stream).error("unheard")
    assert not stream.getvalue()
