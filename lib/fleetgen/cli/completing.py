"""Owns `fleetgen completion`: what a shell needs to complete commands, and what it is offered as arguments.

Whoever presses the tab key waits: only small files are read, and what cannot be read offers nothing.
"""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from fleetgen.cli.calling import program


class _ZshComplete(ZshComplete):
    """What works as a file on zsh's path, too: click's own takes only the first of its calls for one."""

    source_template = ZshComplete.source_template.replace(
        "if [[ $zsh_eval_context[-1] == loadautofunc ]]; then",
        "if [[ $zsh_eval_context[-1] == loadautofunc || $funcstack[1] == _%(prog_name)s ]]; then",
    )


_SHELLS = {"bash": BashComplete, "zsh": _ZshComplete, "fish": FishComplete}

_MOST = 50
"""Batches that are offered, the newest first."""


@click.command
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print what lets a shell complete commands, streams and batches."""
    source = _SHELLS[shell](click.Command("fleetgen"), {}, "fleetgen", "_FLEETGEN_COMPLETE").source()
    click.echo(_called_as(source, shell))


def _called_as(source: str, shell: str) -> str:
    """Let a checkout's own launcher be completed, too, however it is called."""
    called = program()
    if called == "fleetgen" or shell == "fish" or " " in called:
        return source
    if shell == "bash":
        return f"{source}\ncomplete -o nosort -F _fleetgen_completion {called}"
    return f"{source}\ncompdef _fleetgen_completion {called}"


def _offers(find: Callable[[click.Context], list[str]]) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """Return what click asks for completions, from a function that names all there are."""

    def offer(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
        try:
            names = find(context)
        except Exception:  # noqa: BLE001 - a tab must never print a fault into what is being typed
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]

    return offer


def _batches(context: click.Context) -> list[str]:
    from fleetgen.cli.output import DEFAULT_CONFIG, default_config
    from fleetgen.config.watching import load_or_last_good_beside

    loaded, _ = load_or_last_good_beside(Path(context.params.get("config_file") or default_config() or DEFAULT_CONFIG))
    folder = loaded.layout.raw / str(context.params["stream"])
    return sorted((path.name for path in folder.iterdir() if not path.name.startswith(".")), reverse=True)[:_MOST]


def _processes(context: click.Context) -> list[str]:
    return ["company", "driver", "pipeline", "control", "supervisor"]


def _presets(context: click.Context) -> list[str]:
    from fleetgen.config.presets import preset_names

    return list(islice(preset_names(), _MOST))


offer_batches = _offers(_batches)
offer_processes = _offers(_processes)
offer_presets = _offers(_presets)
