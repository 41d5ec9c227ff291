"""The version of the installed package."""

from importlib import metadata


def version() -> str:
    """Return the version of the installed package."""
    try:
        return metadata.version("pinnsolve")
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        return "0.0.0+unknown"
