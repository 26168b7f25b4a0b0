"""Where a task keeps the id of the operation that it started, from one run to the next.

Airflow 3.3 has a store for that; before, an Airflow Variable named after the task instance serves.
An XCom does not: Airflow clears a task's XComs before it runs the task again.
"""

from __future__ import annotations

import hashlib
from typing import Any

KEY = "nexus_operation_id"


class KeptId:
    """The id of the operation that a task instance has started.

    Args:
        context: The task's context; without a task instance in it nothing is kept.
    """

    def __init__(self, context: Any) -> None:
        self._store = context.get("task_state_store")
        self._variable = None if self._store is not None else _variable_name(context.get("ti"))

    def get(self) -> str | None:
        """Return the id that is kept, or `None`."""
        if self._store is not None:
            kept = self._store.get(KEY)
            return None if kept is None else str(kept)
        if self._variable is None:
            return None
        from airflow.sdk import Variable

        kept = Variable.get(self._variable, default=None)
        return None if not kept else str(kept)

    def set(self, op_id: str) -> None:
        """Keep an id."""
        if self._store is not None:
            self._store.set(KEY, op_id)
        elif self._variable is not None:
            from airflow.sdk import Variable

            Variable.set(self._variable, op_id, description="An operation that a task waits for")

    def forget(self) -> None:
        """Let go of the id."""
        if self._store is not None:
            self._store.delete(KEY)
        elif self._variable is not None:
            from airflow.sdk import Variable

            Variable.delete(self._variable)


def _variable_name(ti: Any) -> str | None:
    """Return a name that is the task instance's own, whatever characters its ids have."""
    if ti is None:
        return None
    parts = (ti.dag_id, ti.run_id, ti.task_id, str(ti.map_index))
    return f"{KEY}_{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:32]}"
