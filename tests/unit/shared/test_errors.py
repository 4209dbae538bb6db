"""What a problem document says of a further try."""

import pytest

from shared.errors import WorkflowFailed, problem


@pytest.mark.parametrize(("status", "retry"), [(None, "never"), (409, "never"), (429, "later"), (503, "later")])
def test_workflow_that_fails_with_a_passing_status_may_be_called_again(status: int | None, retry: str) -> None:
    assert problem(WorkflowFailed("x", status=status), "r1")["retry"] == retry
