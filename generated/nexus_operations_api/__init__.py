"""A client library for accessing Datature Nexus operations"""

from pathlib import Path

from .client import AuthenticatedClient, Client

DOCUMENT = Path(__file__).with_name("operations.yaml")
"""The OpenAPI document that this package was generated from."""

__all__ = (
    "DOCUMENT",
    "AuthenticatedClient",
    "Client",
)
