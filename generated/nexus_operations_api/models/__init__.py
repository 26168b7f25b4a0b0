"""Contains all the data models used in inputs/outputs"""

from .error import Error
from .operation import Operation
from .operation_progress import OperationProgress
from .operation_progress_with_status import OperationProgressWithStatus
from .operation_status import OperationStatus

__all__ = (
    "Error",
    "Operation",
    "OperationProgress",
    "OperationProgressWithStatus",
    "OperationStatus",
)
