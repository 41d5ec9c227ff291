"""The version of the installed package, and what else numbers depend on: other packages and the machine."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

COMPUTING = ("torch", "numpy", "scipy")


def version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("pinnsolve")
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        return "0.0.0+unknown"


def versions() -> dict[str, str]:
    """The versions of Python and of those packages that compute, as far as they are loaded."""
    loaded = {name: sys.modules[name].__version__ for name in COMPUTING if name in sys.modules}
    return {"python": platform.python_version(), **{name: str(found) for name, found in loaded.items()}}


def machine() -> str:
    """The processor, how many of its cores there are, and the system, in words."""
    cores = os.cpu_count() or 1
    return f"{_processor()}, {cores} core{'s' * (cores != 1)}, {platform.system()} {platform.release()}"


def _processor() -> str:
    """The name of the processor where the system tells it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(names), platform.machine() or "a machine")
