"""What a torch optimizer owes its user, as checks that anybody can run on anybody's optimizer.

::

    from waddington.optim.testing import check_optimizer

    report = check_optimizer(torch.optim.AdamW)
    print(report)
    report.raise_if_failed()

Needs torch and numpy only. A report takes a few seconds; the checks marked slow (``torch.compile``, two processes) are
left out unless asked for.
"""

from __future__ import annotations

from waddington.optim.testing._catalog import Check, checks
from waddington.optim.testing._report import CheckResult, Report
from waddington.optim.testing._runner import check_optimizer

__all__ = ["Check", "CheckResult", "Report", "check_optimizer", "checks"]
