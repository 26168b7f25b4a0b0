"""`@task.nexus`: a function that starts an operation becomes a task that waits for it, too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk.bases.decorator import DecoratedOperator, task_decorator_factory

from .operators import NexusOperationOperator

__all__ = ["nexus_task"]


class NexusDecoratedOperator(DecoratedOperator, NexusOperationOperator):  # type: ignore[misc]
    """Calls a function to start an operation, and waits for it."""

    custom_operator_name = "@task.nexus"

    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *NexusOperationOperator.template_fields,
    )
    template_fields_renderers: ClassVar[Mapping[str, str]] = (
        DecoratedOperator.template_fields_renderers
    )

    def start(self, context: Any) -> Any:
        """Call the function, with what it asks for of the context."""
        context = {**context, **self.op_kwargs}
        return self.python_callable(*self.op_args, **self.determine_kwargs(context))


def nexus_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> Any:
    """Make a task of a function that starts an operation and returns its id, link or itself.

    The task waits until the operation has finished and returns it; see `NexusOperationOperator` for
    its arguments and for what a retry does.

    Args:
        python_callable: The function.
        kwargs: The task's arguments.

    Raises:
        ValueError, TypeError: For a bad argument, when the function is decorated.
    """
    NexusOperationOperator.check_mapped(kwargs)
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=False,
        decorated_operator_class=NexusDecoratedOperator,
        **kwargs,
    )
