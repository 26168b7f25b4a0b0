"""Modules that every generated package has a copy of."""
