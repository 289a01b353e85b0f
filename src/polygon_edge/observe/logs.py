"""Owns how log lines look and where they go; what is worth a line is decided by whoever logs."""

import logging
import sys
import time
from enum import StrEnum
from typing import Final, TextIO

ROOT_LOGGER_NAME: Final = "polygon_edge"


class LogLevel(StrEnum):
    """A level an operator can ask for, spelled as the Go client's ``--log-level`` spells it."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"

    @property
    def number(self) -> int:
        """The standard library's number for this level."""
        return {
            LogLevel.DEBUG: logging.DEBUG,
            LogLevel.INFO: logging.INFO,
            LogLevel.WARN: logging.WARNING,
            LogLevel.ERROR: logging.ERROR,
        }[self]


class TextFormatter(logging.Formatter):
    """One record as one line of text: UTC time to the millisecond, level, module, message.

    Line breaks inside a message are escaped: a message may quote bytes of a hostile file, and must not forge a line.
    A traceback follows on lines of its own.
    """

    converter = time.gmtime
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(levelname)s] %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).replace("\r", "\\r").replace("\n", "\\n")

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        prefix = f"{ROOT_LOGGER_NAME}."
        return line.replace(f"] {prefix}", "] ", 1)


def configure_logging(level: LogLevel = LogLevel.INFO, stream: TextIO | None = None) -> logging.Logger:
    """Sends the package's log lines to ``stream``, standard error unless told otherwise.

    Calling it again replaces the earlier choice. Only the package's own logger is touched: a program that embeds the
    package keeps its own root logger. Standard output stays free for results, so that a pipe carries nothing else.
    """
    logger = logging.getLogger(ROOT_LOGGER_NAME)
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(TextFormatter())
    for earlier in logger.handlers[:]:
        logger.removeHandler(earlier)
        earlier.close()
    logger.addHandler(handler)
    logger.setLevel(level.number)
    logger.propagate = False
    return logger
