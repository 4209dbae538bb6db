"""The jars of the local broker, fetched once and checked each time they are fetched.

In:    `jars.lock`: coordinates and SHA-256.
Out:   paths of jars in a cache that all clones share.
Never: Java or Maven; an address of a repository: the resolver library knows that.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from jgo.maven import MavenContext

from deploy.local.faults import DownloadFailed

_AT_ONCE = 6
_TRIES = 3
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name in the cache."""
        return f"{self.artifact}-{self.version}.jar"


def parse_lock(text: str) -> list[Jar]:
    """The jars of a lock. Raises ValueError that names the line."""
    jars = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        coordinates, _, digest = line.partition(" ")
        parts = coordinates.split(":")
        if len(parts) != 3 or len(digest) != 64:
            raise ValueError(f"jars.lock, line {number}: expected group:artifact:version and a SHA-256")
        jars.append(Jar(parts[0], parts[1], parts[2], digest))
    return jars


def locked() -> list[Jar]:
    """The jars that the broker needs."""
    return parse_lock(resources.files("deploy.local").joinpath("jars.lock").read_text())


def cache_folder() -> Path:
    """`WEIR_CACHE_DIR`, or a folder in the user's cache."""
    base = os.environ.get("WEIR_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "weir" / "jars"


def missing(jars: Iterable[Jar], folder: Path) -> list[Jar]:
    """Those that are not in the cache."""
    return [jar for jar in jars if not (folder / jar.file_name).exists()]


def ensure(progress: Progress) -> list[Path]:
    """All jars, fetching what is missing. `progress(done, of)`. Raises DownloadFailed."""
    jars, folder = locked(), cache_folder()
    wanted = missing(jars, folder)
    if wanted:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch, ThreadPoolExecutor(_AT_ONCE) as pool:
            for done, _ in enumerate(pool.map(lambda jar: _fetch(jar, folder, Path(scratch)), wanted), 1):
                progress(done, len(wanted))
    return [folder / jar.file_name for jar in jars]


def _fetch(jar: Jar, folder: Path, scratch: Path) -> None:
    context = MavenContext(repo_cache=scratch, timeout=60)
    artifact = context.project(jar.group, jar.artifact).at_version(jar.version).artifact()
    for attempt in range(_TRIES):
        try:
            path = artifact.resolve()
            break
        except Exception as exc:
            if attempt == _TRIES - 1:
                raise DownloadFailed(f"{jar.group}:{jar.artifact}:{jar.version} could not be fetched ({exc}); "
                                     "is this machine online? A second try goes on where this one stopped.") from exc
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != jar.sha256:
        raise DownloadFailed(f"{jar.file_name} has SHA-256 {found}, the lock says {jar.sha256}; it was not kept. "
                             "Something between here and the repository changes files.")
    # a rename within one folder is atomic: a reader sees a whole jar or none
    complete = scratch / f"{jar.file_name}.complete"
    shutil.copyfile(path, complete)
    complete.rename(folder / jar.file_name)
