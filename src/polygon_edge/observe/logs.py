"""Owns how log lines look and where they go; what is worth a line is decided by whoever logs."""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TextIO

ROOT_LOGGER_NAME: Final = "polygon_edge"


class LogLevel(StrEnum):
    """A level an operator can ask for, spelled as the Go client's ``--log-level`` spells it."""

    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"
    OFF = "off"

    @classmethod
    def named(cls, text: str) -> "LogLevel":
        """Returns the level of that name in any case; an unknown name is ``info``, as in the Go client (§1.1)."""
        try:
            return cls(text.strip().lower())
        except ValueError:
            return cls.INFO

    @property
    def number(self) -> int:
        """The standard library's number for this level."""
        return {
            LogLevel.TRACE: 1,
            LogLevel.DEBUG: logging.DEBUG,
            LogLevel.INFO: logging.INFO,
            LogLevel.WARN: logging.WARNING,
            LogLevel.ERROR: logging.ERROR,
            LogLevel.OFF: logging.CRITICAL + 1,
        }[self]


def _moment(record: logging.LogRecord) -> str:
    # isoformat leaves the fraction out where it is zero unless told how much of it is wanted.
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _module(record: logging.LogRecord) -> str:
    return record.name.removeprefix(f"{ROOT_LOGGER_NAME}.")


class TextFormatter(logging.Formatter):
    """One record as one line of text: UTC time to the millisecond, level, module, message.

    Line breaks inside a message are escaped: a message may quote bytes of a hostile file, and must not forge a line.
    A traceback follows on lines of its own.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Renders ``record`` without a line break at its end."""
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{_moment(record)} [{record.levelname}] {_module(record)}: {message}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class JsonFormatter(logging.Formatter):
    """One record as one JSON object on one line, with the Go client's keys (§1.1)."""

    def format(self, record: logging.LogRecord) -> str:
        """Renders ``record`` without a line break at its end."""
        document = {
            "@timestamp": _moment(record),
            "@level": record.levelname.lower(),
            "@module": f"polygon.{_module(record)}",
            "@message": record.getMessage(),
        }
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document)


def configure_logging(
    level: LogLevel = LogLevel.INFO, stream: TextIO | None = None, *, as_json: bool = False
) -> logging.Logger:
    """Sends the package's log lines to ``stream``, standard error unless told otherwise, as text or as JSON objects.

    Calling it again replaces the earlier choice. Only the package's own logger is touched: a program that embeds the
    package keeps its own root logger. Standard output stays free for results, so that a pipe carries nothing else.
    """
    logger = logging.getLogger(ROOT_LOGGER_NAME)
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    for earlier in logger.handlers[:]:
        logger.removeHandler(earlier)
        earlier.close()
    logger.addHandler(handler)
    logger.setLevel(level.number)
    logger.propagate = False
    return logger
