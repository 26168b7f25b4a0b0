"""`python -m nexus_operations.cli` is the command, too."""

from . import main

main()
