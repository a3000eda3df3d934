"""Owns `fleetgen help`: the help of a command, for those who ask in words."""

import click


@click.command(name="help")
@click.argument("command", nargs=-1)
@click.pass_context
def help(context: click.Context, command: tuple[str, ...]) -> None:  # noqa: A001 - as it is called
    """Show the help of a command, as `fleetgen COMMAND --help` does."""
    root = context.find_root()
    with root.command.make_context("fleetgen", [*command, "--help"]) as asked:
        root.command.invoke(asked)
