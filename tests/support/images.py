"""A Dockerfile's steps, read and carried out in folders, where no container engine runs.

What an engine would do and this does not: pull the base image (the folder begins as a minimal Debian with its own Python),
keep layers, and limit memory. Steps run in a mount namespace and a chroot, with this machine's network and certificates.
"""

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

BASE_PACKAGES = "python3,python3-venv,ca-certificates"

_ENTER = r"""
set -e
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
for each in null zero full random urandom; do
    touch "$ROOT/dev/$each" 2>/dev/null || true
    mount --bind "/dev/$each" "$ROOT/dev/$each"
done
for each in /etc/resolv.conf /etc/hosts $WHEELS; do
    [ -e "$each" ] || continue
    [ ! -d "$each" ] || mkdir -p "$ROOT$each"
    [ -e "$ROOT$each" ] || touch "$ROOT$each"
    mount --bind "$each" "$ROOT$each"
    mount -o remount,ro,bind "$ROOT$each"
done
if [ -n "$CERTIFICATES" ]; then
    cp "$CERTIFICATES" "$ROOT/run/certificates.pem"
    export PIP_CERT=/run/certificates.pem SSL_CERT_FILE=/run/certificates.pem
fi
cd /
exec chroot "$ROOT" /bin/sh -c "cd \"$WORKDIR\" && $STEP"
"""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a Dockerfile: its word in capitals and what follows it."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """What follows, as the list of words that it is in either form."""
        return list(json.loads(self.rest)) if self.rest.startswith("[") else shlex.split(self.rest)


@dataclass(slots=True)
class Stage:
    """A stage: what it begins from, its name and its steps."""

    origin: str
    name: str
    steps: list[Step] = field(default_factory=list)

    def last(self, word: str) -> Step:
        """Return the last instruction with this word, which must be there."""
        return [step for step in self.steps if step.word == word][-1]


def stages(dockerfile: Path) -> dict[str, Stage]:
    """Return the stages of a Dockerfile by name, in their order; each here has one."""
    found: dict[str, Stage] = {}
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            origin, _, name = rest.partition(" AS ")
            stage = found[name] = Stage(origin, name)
        elif word:
            stage.steps.append(Step(word, rest.strip()))
    return found


class Folders:
    """Builds stages of a Dockerfile into folders, each once; a stage that others begin from is copied."""

    def __init__(self, dockerfile: Path, context: Path, place: Path) -> None:
        self.stages = stages(dockerfile)
        self._context, self._place = context, place

    def of(self, name: str) -> Path:
        """Return the folder of a stage, or of the base image, made if it is not there."""
        root = self._place / name.replace(":", "-")
        if not root.exists():
            unfinished = root.with_name(f"{root.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            if name in self.stages:
                self._build(self.stages[name], unfinished)
            else:
                _lay_base(unfinished, name.rpartition("-")[2])
            unfinished.rename(root)
        return root

    def _build(self, stage: Stage, root: Path) -> None:
        _copy(self.of(stage.origin), root)
        inherited = self.stages.get(stage.origin, Stage("", ""))
        variables: dict[str, str] = {}
        workdir, user = _workdir(inherited), "0:0"
        for step in stage.steps:
            if step.word == "RUN":
                assert user == "0:0", "no step runs after USER"
                _run(root, step.rest, workdir, variables)
            elif step.word == "COPY":
                self._copy_step(step, root, workdir)
            elif step.word == "WORKDIR":
                workdir = step.rest
                (root / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
            elif step.word == "USER":
                user = step.rest

    def _copy_step(self, step: Step, root: Path, workdir: str) -> None:
        words = step.words
        source = self._context
        if words[0].startswith("--from="):
            source = self.of(words.pop(0).removeprefix("--from="))
        *names, target = words
        place = root / (Path(workdir) / target).as_posix().lstrip("/")
        for name in names:
            file = source / name.lstrip("/")
            if file.is_dir():
                shutil.copytree(
                    file,
                    place,
                    symlinks=True,
                    dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__", "*.token"),
                )
            else:
                into = place / file.name if target.endswith("/") else place
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file, into)


def environment_of(stage: Stage) -> dict[str, str]:
    """Return the variables that ENV sets over a usual PATH."""
    found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    for step in stage.steps:
        if step.word == "ENV":
            for word in step.words:
                name, _, value = word.partition("=")
                found[name] = value.replace("$PATH", found["PATH"])
    return found


def _workdir(stage: Stage) -> str:
    return next((step.rest for step in reversed(stage.steps) if step.word == "WORKDIR"), "/")


def _lay_base(root: Path, suite: str) -> None:
    """Lay the base image: a minimal Debian of the same suite, whose Python is called `python` too."""
    command = ["mmdebstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", suite, str(root)]
    subprocess.run(command, check=True, capture_output=True, timeout=900)
    (root / "usr" / "local" / "bin" / "python").symlink_to("/usr/bin/python3")


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def _run(root: Path, step: str, workdir: str, variables: dict[str, str]) -> None:
    """Carry out a RUN as root; pip is told how this machine reaches packages, and nothing else of it."""
    reach = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy") or name in _REACH}
    wheels = [each for each in reach.get("PIP_FIND_LINKS", "").split() if Path(each).is_dir()]
    environment = {
        **reach,
        **variables,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "ROOT": str(root),
        "WORKDIR": workdir,
        "STEP": step,
        "WHEELS": " ".join(wheels),
        "CERTIFICATES": os.environ.get("PIP_CERT", os.environ.get("SSL_CERT_FILE", "")),
    }
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _ENTER], env=environment, capture_output=True, text=True, timeout=1800
    )
    assert done.returncode == 0, f"{step}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


_REACH = ("PIP_INDEX_URL", "PIP_FIND_LINKS", "PIP_DEFAULT_TIMEOUT", "PIP_TRUSTED_HOST")
"""Variables by which this machine's pip is told how to reach packages."""
