"""How each kind of failure leaves the process: its text or document on standard error, and its exit code.

Exit codes: docs/operating/exit-codes.md.
"""

from __future__ import annotations

import json

import click

from polygon_edge.chain.json_text import json_text
from polygon_edge.cli.edge_command import FAILURE_EXIT_CODE, EdgeCommand, EdgeFailure, EdgeGroup
from polygon_edge.errors import DiskFullError, PolygonEdgeError, UsageError

FAILURES = (EdgeFailure, PolygonEdgeError, click.ClickException, OSError)


def report(failure: EdgeFailure | PolygonEdgeError | click.ClickException | OSError, *, in_json: bool) -> int:
    """Print `failure` on standard error, as one JSON document if `in_json`; returns the exit code."""
    if isinstance(failure, click.ClickException):
        return _report_usage(failure, in_json=in_json)
    text = f"Error: {failure}"
    match failure:
        case EdgeFailure():
            # The bare message, as from the Go client.
            text, document, exit_code = str(failure), json_text({"error": str(failure)}), failure.exit_code
        case PolygonEdgeError():
            document, exit_code = json.dumps(failure.document()), failure.exit_code
        case _:
            # What no verb foresaw, such as a file system that turned read-only: the disk refused.
            exit_code = DiskFullError.exit_code
            document = json.dumps({"error": str(failure), "kind": type(failure).__name__, "exit_code": exit_code})
    click.echo(document if in_json else text, err=True)
    return exit_code


def _report_usage(failure: click.ClickException, *, in_json: bool) -> int:
    message = failure.format_message()
    context = failure.ctx if isinstance(failure, click.UsageError) else None
    if context is not None and isinstance(context.command, EdgeCommand | EdgeGroup):
        hint = f"{context.get_usage()}\nTry '{context.command_path} --help' for help."
        # First and last, as from the Go client: programs look for the message in either place.
        text = f"Error: {message}\n{hint}\n\n{message}"
        click.echo(json_text({"error": message}) if in_json else text, err=True)
        return FAILURE_EXIT_CODE
    if in_json:
        document = {"error": message, "kind": UsageError.__name__, "exit_code": failure.exit_code}
        click.echo(json.dumps(document), err=True)
    else:
        failure.show()
    return failure.exit_code
