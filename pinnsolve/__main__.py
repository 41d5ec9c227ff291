"""`python -m pinnsolve`."""

from pinnsolve.cli import main

if __name__ == "__main__":
    main()
