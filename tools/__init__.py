"""Scripts of the repository that are no tests; the Makefile runs them."""
