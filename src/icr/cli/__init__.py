"""The `icr` command; one file per command group, each thin. Nothing heavy is imported before a command runs."""
