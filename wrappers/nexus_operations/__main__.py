"""`python -m nexus_operations` is the command `nexus-operations`."""

from .cli import main

main()
