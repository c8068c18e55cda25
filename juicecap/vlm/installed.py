"""Which backends can run here, by the libraries that are installed, and how the others are installed. None is imported."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import juicecap
from juicecap.vlm.catalog import BackendSpec, find


def is_installed(library: str) -> bool:
    """Whether a library is installed, by the name under which it is imported."""
    return find_spec(library) is not None


def version_of(package: str) -> str:
    """The version of an installed package; empty if there is none of this name."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def missing_libraries(spec: BackendSpec) -> list[str]:
    """The libraries of a backend that are not installed."""
    return [name for name in spec.libraries if not is_installed(name)]


def first_installed(names: Iterable[str]) -> str | None:
    """The first of these backends whose libraries are all installed."""
    return next((name for name in names if not missing_libraries(find(name))), None)


def install_command(extra: str) -> str:
    """The command that installs an extra of juicecap: from the checkout, if juicecap runs from one."""
    root = Path(juicecap.__file__).parent.parent
    if not _is_checkout(root):
        return f'pip install "juicecap[{extra}]"'
    place = "." if root == Path.cwd() else str(root)
    return f'pip install -e "{place}[{extra}]"'


def how_to_install(extra: str) -> str:
    """What to do about missing libraries: the command that installs the `extra`; empty: another package offers the backend."""
    if not extra:
        return "install the package that offers it with its extras"
    return f"install what is missing: {install_command(extra)}"


def _is_checkout(root: Path) -> bool:
    try:
        return 'name = "juicecap"' in (root / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
