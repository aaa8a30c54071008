"""`python -m icr`, the same as the `icr` command."""

from icr.cli.app import main

if __name__ == "__main__":
    main()
