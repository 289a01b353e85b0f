"""Commands that the Go client has as well: their flags, words and failures keep its conventions (§1.0).

Our own verbs are plain click commands: they have an exit code for each family of errors.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from polygon_edge.cli.flags import Boolean
from polygon_edge.cli.output import JSON_OPTION, json_requested
from polygon_edge.errors import PolygonEdgeError, StoppedBySignalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

FAILURE_EXIT_CODE = 1


class EdgeFailure(Exception):  # noqa: N818 - a way out of click, not an error of its own
    """A command of the Go client failed by `error`: exit code 1, or 130 after a signal (D-1, D-17)."""

    def __init__(self, error: PolygonEdgeError | OSError) -> None:
        self.error = error
        super().__init__(str(error))

    @property
    def exit_code(self) -> int:
        """1, whatever the family, but for a signal."""
        stopped = isinstance(self.error, StoppedBySignalError)
        return StoppedBySignalError.exit_code if stopped else FAILURE_EXIT_CODE


class EdgeCommand(click.Command):
    """A command of the Go client.

    Each has `--json`; booleans take `=`; words that belong to no flag are ignored as by the Go client, but not in
    silence. `not_yet` are commands below it that the Go client has and this version has not: they are refused by name.
    """

    allow_extra_args = True

    def __init__(
        self,
        name: str | None = None,
        *,
        not_yet: Sequence[str] = (),
        **settings: Any,  # noqa: ANN401 - click's signature
    ) -> None:
        super().__init__(name, **settings)
        self._not_yet = frozenset(not_yet)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's parameters and `--json`."""
        return [*super().get_params(ctx), JSON_OPTION]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of the command line; raises click.UsageError."""
        with _belonging_to(ctx):
            rest = super().parse_args(ctx, list(_spelled_out(self.params, args)))
            if ctx.args and ctx.args[0] in self._not_yet:
                raise _not_in_this_version(ctx, ctx.args[0])
        if ctx.args and not ctx.resilient_parsing and not json_requested():
            ignored = " ".join(map(repr, ctx.args))
            click.echo(f"Warning: ignored: {ignored} (true and false are given as --flag=false)", err=True)
        return rest

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; raises EdgeFailure for every error it foresees."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (PolygonEdgeError, OSError) as error:
            raise EdgeFailure(error) from error


class EdgeCommandWithVerbs(EdgeCommand):
    """A command of the Go client that works by itself and has others below it: `genesis`.

    Another word than one of `verbs` is ignored, as with any command of the Go client.
    """

    def __init__(self, name: str | None = None, **settings: Any) -> None:  # noqa: ANN401 - click's signature
        super().__init__(name, **settings)
        self.verbs: dict[str, click.Command] = {}

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - click's signature
    ) -> click.Context:
        """Read the words of the command line for the verb that they name, or for the command itself."""
        first = next((index for index, word in enumerate(args) if not word.startswith("--json")), len(args))
        verb = self.verbs.get(args[first]) if first < len(args) else None
        if verb is None:
            return super().make_context(info_name, args, parent, **extra)
        return verb.make_context(f"{info_name} {args[first]}", [*args[:first], *args[first + 1 :]], parent, **extra)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs below the flags."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str()) for name, verb in sorted(self.verbs.items())])
        super().format_epilog(ctx, formatter)


class StrictEdgeCommand(EdgeCommand):
    """A command of the Go client that refuses words that belong to no flag: `version`, `license` and `status`."""

    allow_extra_args = False


class EdgeGroup(click.Group):
    """A command of the Go client that has others below it, and prints its help when it is given none.

    `not_yet` are those that the Go client has and this version has not: they are refused by name, unless added.
    """

    command_class = EdgeCommand
    group_class = type

    def __init__(
        self,
        name: str | None = None,
        *,
        not_yet: Sequence[str] = (),
        **settings: Any,  # noqa: ANN401 - click's signature
    ) -> None:
        super().__init__(name, **settings | {"invoke_without_command": True})
        self._not_yet = frozenset(not_yet)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's parameters and `--json`."""
        return [*super().get_params(ctx), JSON_OPTION]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words up to the name of the command below."""
        with _belonging_to(ctx):
            return super().parse_args(ctx, list(_spelled_out(self.params, args)))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command below that `args` begin with; raises click.UsageError."""
        if args[0] in self._not_yet and self.get_command(ctx, args[0]) is None:
            raise _not_in_this_version(ctx, args[0])
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command below, or print the help."""
        result: object = super().invoke(ctx)
        if ctx.invoked_subcommand is None:
            click.echo(ctx.get_help())
        return result


def is_set(name: str) -> bool:
    """Whether the flag of the parameter `name` stands on the command line."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


def require_flags(*names: str) -> None:
    """Raise click.UsageError unless the flags of all these parameters are given.

    Called by the command after its own checks, because the Go client reports those first.
    """
    missing = ", ".join(f'"{_flag(name)}"' for name in names if not is_set(name))
    if missing:
        raise click.UsageError(f"required flag(s) {missing} not set", click.get_current_context())


def exclude_flags(*names: str) -> None:
    """Raise click.UsageError when the flags of more than one of these parameters are given."""
    given = [f"--{_flag(name)}" for name in names if is_set(name)]
    if len(given) > 1:
        raise click.UsageError(f"only one of these flags can be given: {', '.join(given)}", click.get_current_context())


def _not_in_this_version(context: click.Context, word: str) -> click.UsageError:
    return click.UsageError(f"{context.command_path} {word} is not in this version yet", context)


@contextlib.contextmanager
def _belonging_to(context: click.Context) -> Iterator[None]:
    """Note the command in usage errors where click leaves that out: it decides on the exit code."""
    try:
        yield
    except click.UsageError as error:
        error.ctx = error.ctx or context
        raise


def _flag(name: str) -> str:
    """Return the name that the parameter `name` of the running command has on its command line, without dashes."""
    parameters = click.get_current_context().command.params
    return next(parameter.opts[0].lstrip("-") for parameter in parameters if parameter.name == name)


def _spelled_out(parameters: Iterable[click.Parameter], words: list[str]) -> Iterator[str]:
    """Turn a boolean flag alone into `--flag=true`, and `--json=…` into `--json`: only its presence counts."""
    options = {name: option for option in parameters if isinstance(option, click.Option) for name in option.opts}
    rest = iter(words)
    for word in rest:
        option = options.get(word)
        if word == "--":
            yield word
            yield from rest
        elif option is None:
            yield "--json" if word.startswith("--json=") else word
        elif isinstance(option.type, Boolean):
            yield f"{word}=true"
        else:
            yield word
            if not option.is_flag and not option.count:
                # Its value, whatever it looks like.
                value = next(rest, None)
                if value is not None:
                    yield value
