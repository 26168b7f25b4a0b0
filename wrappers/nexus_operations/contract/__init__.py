"""Contract testing for users of the service: does it keep `openapi/operations.yaml`?

Needs the extra `contract`. Nothing is loaded before it is used.

    schema           the contract as a schemathesis schema; each import gets its own
    load_schema      the same, for a base URL or an app
    check_service    what `nexus-operations contract` does
    check_response   one recorded response against the contract

For pytest there are the marker and the fixture `nexus_contract`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._report import Check, Problem, Report
    from ._run import check_service
    from ._schema import ContractError, ContractSchema, check_response, document_path, load_schema

    schema: ContractSchema

__all__ = [
    "Check",
    "ContractError",
    "ContractSchema",
    "Problem",
    "Report",
    "check_response",
    "check_service",
    "document_path",
    "load_schema",
    "schema",
]

_HOMES = {
    **dict.fromkeys(("Check", "Problem", "Report"), "_report"),
    **dict.fromkeys(("ContractError", "ContractSchema", "check_response"), "_schema"),
    **dict.fromkeys(("document_path", "load_schema"), "_schema"),
    "check_service": "_run",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is asked for."""
    if name == "schema":
        return __getattr__("load_schema")()
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
