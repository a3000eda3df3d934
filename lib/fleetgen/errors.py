"""Owns the one tree of errors and the exit status of each; leaves the wording of a case to whoever raises it.

The docstring of an error is its default message. Statuses follow ``sysexits.h`` where it has a name.
"""


class FleetgenError(Exception):
    """fleetgen could not go on."""

    exit_status = 1
    is_logged = False
    """Whether the log of the process that ends by it has it already."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class UsageError(FleetgenError):
    """The command was called with arguments that do not fit."""

    exit_status = 2


class DifferenceFound(FleetgenError):
    """A check found a difference."""

    exit_status = 1


class NothingThere(FleetgenError):
    """There is nothing to look at yet."""

    exit_status = 66


class Unreachable(FleetgenError):
    """The process set does not answer: start it with `fleetgen up`."""

    exit_status = 69


class NotRunning(Unreachable):
    """The set is not running: start it with `fleetgen up`."""


class SystemLacks(FleetgenError):
    """The system lacks what fleetgen needs."""

    exit_status = 71


class CannotCreate(FleetgenError):
    """Output cannot be created."""

    exit_status = 73


class InTheWay(FleetgenError):
    """Something lies where a batch must go: move it away."""

    exit_status = 73


class HeldByAnother(FleetgenError):
    """Another process holds what this one needs, and keeps it: stop that one first."""

    exit_status = 75


class NotYet(FleetgenError):
    """Another process holds for a while what this one needs: try again."""

    exit_status = 75


class ConfigurationError(FleetgenError):
    """The configuration is not valid."""

    exit_status = 78


class ManifestError(FleetgenError):
    """The manifest cannot be used."""

    exit_status = 78


class NoDataset(ManifestError, NothingThere):
    """There is no dataset: start one with `fleetgen up`."""

    exit_status = NothingThere.exit_status

    def __init__(self, data: object) -> None:
        super().__init__(f"There is no dataset in {data}: start one with `fleetgen up`.")


class DamagedManifest(ManifestError):
    """The manifest is damaged and will be made anew from the other files."""


class DatasetChanged(FleetgenError):
    """The dataset is another one than before: it was cleaned meanwhile, so nothing was published into it."""


class Interrupted(FleetgenError):
    """A stop was asked for in the middle of work; nothing of it was published."""


class EndedByHand(FleetgenError):
    """Interrupted."""

    exit_status = 130
