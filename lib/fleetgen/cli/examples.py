"""Owns the examples in which each command's help ends."""

import click

EXAMPLES = {
    "up": ("up", "up --port-offset 100"),
    "down": ("down",),
    "status": ("status", "status --json"),
    "reload": ("reload",),
    "ctl": ("ctl status", "ctl stop driver"),
    "run": ("run pipeline --once", "run driver --port 9202"),
    "mode": ("mode", "mode production"),
    "config": ("config check", "config use quality-demo"),
    "config check": ("config check",),
    "config show": ("config show --json",),
    "config schema": ("config schema > etc/generator.schema.json",),
    "config presets": ("config presets",),
    "config use": ("config use quality-demo",),
    "config import": ("config import config.yaml > etc/generator.toml",),
    "doctor": ("doctor", "doctor --json"),
    "export": ("export systemd units --user fleetgen",),
    "export systemd": ("export systemd units --user fleetgen",),
    "init": ("init /tmp/history --preset base",),
    "pause": ('pause --reason "a look at the tables"',),
    "resume": ("resume",),
    "clean": ("clean --yes", "clean --yes --logs"),
    "logs": ("logs -f", "logs driver --level warning -n 100"),
    "metrics": ("metrics", "metrics --json"),
    "query": ('query "SELECT event_type, count(*) FROM events GROUP BY ALL"', "query - --json < question.sql"),
    "tables": ("tables", "tables --json"),
    "generate": ("generate companies --count 5", "generate events --count 1000 --output /tmp/events.jsonl"),
    "replay": ("replay events 20260131T120000Z", "replay events 20260131T120000Z --clean"),
    "verify": ("verify", "verify --all --repair"),
    "score": ("score", "score --quarantine rejected.csv --min-recall 0.9"),
    "inspect": ("inspect events 20260131T120000Z --lines 10",),
    "backfill": ("backfill --batches 60", "backfill --from 2026-01-01T00:00:00Z --until 2026-01-02T00:00:00Z --jobs 2"),
    "schema": ("schema events --as duckdb",),
    "completion": (
        'eval "$(fleetgen completion bash)"      # in ~/.bashrc; zsh in ~/.zshrc',
        "completion fish > ~/.config/fish/completions/fleetgen.fish",
    ),
    "help": ("help", "help config use"),
}
"""By command, as it is called; a line that is more than a call of fleetgen stands as it is."""


def with_examples(path: str, command: click.Command) -> click.Command:
    """Give a command, and those in its group, the examples that their help ends with."""
    if path in EXAMPLES and command.epilog is None:
        lines = (each if each.startswith("eval") else f"fleetgen {each}" for each in EXAMPLES[path])
        command.epilog = "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            with_examples(f"{path} {name}", each)
    return command
