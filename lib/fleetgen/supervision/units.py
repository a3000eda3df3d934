"""Owns the expansion of the configuration into systemd's units: a target, and a service for each process. Pure.

For those who want systemd in the place of supervisord; both are made from the same list of programs.
"""

from pathlib import Path

from fleetgen.config.loading import LoadedConfig
from fleetgen.errors import ConfigurationError
from fleetgen.supervision.programs import EXPECTED_EXITS, Program, command_of, programs
from fleetgen.supervision.watchdog import SILENT_SECONDS

TARGET = "fleetgen.target"

NO_NEW_CODE = "MemoryDenyWriteExecute=yes"
"""Under which no Java starts: it compiles as it runs."""

HARDENING = (
    "NoNewPrivileges=yes",
    "CapabilityBoundingSet=",
    "AmbientCapabilities=",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "ProtectProc=invisible",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "PrivateUsers=yes",
    "RemoveIPC=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    NO_NEW_CODE,
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged",
    "SystemCallErrorNumber=EPERM",
    "DevicePolicy=closed",
    "KeyringMode=private",
    "UMask=0027",
)
"""What a service of the whole system takes from the processes; a user's own manager cannot do most of it."""

_HEAD = "# Written by `fleetgen export systemd`: edit generator.toml and call it again, or add a drop-in."


def units(loaded: LoadedConfig, port_offset: int = 0, user: str | None = None) -> dict[str, str]:
    """Return the text of each unit by its file name; with ``user``, for the system's manager, hardened.

    Raises ConfigurationError for paths that a unit cannot express.
    """
    _check(loaded)
    every = programs(loaded, port_offset)
    return {TARGET: _target(every)} | {_name(each): _service(loaded, each, user) for each in every}


def _name(program: Program) -> str:
    return f"fleetgen-{program.name}.service"


def _target(every: list[Program]) -> str:
    lines = [_HEAD, "[Unit]", "Description=fleetgen, one unit for each process"]
    lines += [f"Wants={_name(program)}" for program in every]
    return "\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target default.target", ""])


def _service(loaded: LoadedConfig, program: Program, user: str | None) -> str:
    lines = [_HEAD, "[Unit]", f"Description=fleetgen: {program.name}", f"PartOf={TARGET}", "StartLimitIntervalSec=0"]
    lines += ["", "[Service]", *_life(loaded, program)]
    if user is not None:
        writable = " ".join(_quoted(str(path)) for path in (loaded.layout.data, loaded.run))
        lines += [
            f"User={user}",
            *_made_at_start(loaded.run),
            f"ReadWritePaths={writable}",
            *_hardening(loaded, program),
        ]
    return "\n".join([*lines, "", "[Install]", f"WantedBy={TARGET}", ""])


def _made_at_start(run: Path) -> list[str]:
    """Return how a folder below /run comes about, which is empty whenever the machine has started."""
    if len(run.parts) < 3 or not run.is_relative_to("/run"):
        return []
    name = _quoted(str(run.relative_to("/run")))
    return [f"RuntimeDirectory={name}", "RuntimeDirectoryMode=0700", "RuntimeDirectoryPreserve=yes"]


def _hardening(loaded: LoadedConfig, program: Program) -> list[str]:
    runs_java = program.name == "pipeline" and loaded.config.pipeline.engine == "spark"
    return [each for each in HARDENING if not (runs_java and each == NO_NEW_CODE)]


def _life(loaded: LoadedConfig, program: Program) -> list[str]:
    """Return how a process is started, watched, started again and stopped: as in supervisord's file."""
    prevented = " ".join(str(status) for status in EXPECTED_EXITS if status)
    log = str(loaded.layout.logs / f"{program.name}.jsonl").replace("%", "%%")
    return [
        "Type=notify",
        "NotifyAccess=main",
        "ExecStart=" + " ".join(_quoted(word).replace("$", "$$") for word in command_of(loaded, program)),
        "Environment=PYTHONUTF8=1",
        f"StandardOutput=append:{log}",
        "Restart=on-failure",
        "RestartSec=100ms",
        f"RestartPreventExitStatus={prevented}",
        "TimeoutStartSec=infinity",
        f"WatchdogSec={SILENT_SECONDS}",
        "WatchdogSignal=SIGKILL",
        "KillMode=mixed",
        f"TimeoutStopSec={loaded.config.supervisor.stop_wait_seconds}",
    ]


def _quoted(word: str) -> str:
    """Return a word as systemd reads it back; see systemd.syntax(7)."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _check(loaded: LoadedConfig) -> None:
    for path in (loaded.file, loaded.layout.data, loaded.run):
        if any(ord(sign) < 32 for sign in str(path)):
            raise ConfigurationError(
                f"The path {str(path)!r} has a line break or another control sign, which a systemd unit cannot "
                "express: rename the folder."
            )
