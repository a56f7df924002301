"""Running checks: each on its own, whatever the others raise, warn or draw from random generators."""

from __future__ import annotations

import random
import re
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from waddington._checks import check_known
from waddington.errors import ArgumentError
from waddington.optim.testing import (
    _checks_arguments,
    _checks_dtypes,
    _checks_gradients,
    _checks_groups,
    _checks_hosts,
    _checks_rates,
    _checks_sharding,
    _checks_state,
    _checks_step,
    _checks_tensors,
    _checks_training,
)
from waddington.optim.testing._catalog import (
    GROUPS,
    Check,
    CheckFailure,
    HalfDone,
    NotApplicable,
    Refusal,
    checks,
    describe,
)
from waddington.optim.testing._problems import make_gradients, make_params, on_device, require_moved, run, values
from waddington.optim.testing._report import CheckResult, Report, Status
from waddington.optim.testing._subject import Subject

__all__ = ["check_optimizer"]

# Importing a module registers its checks.
_MODULES = (
    _checks_step,
    _checks_tensors,
    _checks_dtypes,
    _checks_gradients,
    _checks_groups,
    _checks_rates,
    _checks_state,
    _checks_arguments,
    _checks_training,
    _checks_hosts,
    _checks_sharding,
)
_HERE = Path(__file__).parent


def check_optimizer(
    optimizer: Callable[..., torch.optim.Optimizer],
    *,
    kwargs: Mapping[str, Any] | None = None,
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
    expected_refusals: Mapping[str, str] | None = None,
    slow: bool = False,
    device: str = "cpu",
) -> Report:
    """Check what an optimizer owes its user.

    Parameters
    ----------
    optimizer
        A subclass of ``torch.optim.Optimizer``, or a function that gives an optimizer; called with parameters, groups
        or named parameters first and keywords after. For the checks over several processes it must be picklable, and a
        script needs ``if __name__ == "__main__"``.
    kwargs
        Arguments of every optimizer that is built, such as a learning rate where the class has no default.
    only, skip
        Names of checks or groups to run, or to leave out; see :func:`checks`.
    expected_refusals
        What the optimizer documents not to do: a regular expression for the name of each such check. An exception or a
        failure whose message matches counts as refused. An exception after something has changed never does.
    slow
        Also run the slow checks: ``torch.compile``, and two processes.
    device
        Where parameters and gradients lie, as ``"cuda"``. Two processes are checked on the processor all the same.

    Returns
    -------
    Report
        Print it, ask whether it ``passed``, or ``raise_if_failed()``.

    Raises
    ------
    UnknownNameError
        No check or group of that name.
    ArgumentError
        `optimizer` cannot be called.

    Examples
    --------
    >>> report = check_optimizer(torch.optim.AdamW, only=["closure", "unknown_keyword"])
    >>> report.passed
    True
    """
    if not callable(optimizer):
        raise ArgumentError(
            f"cannot use optimizer={optimizer!r}: optimizer must be a class or a function that gives one"
        )
    subject = Subject(optimizer, kwargs)
    expected = {_known(name): re.compile(pattern) for name, pattern in (expected_refusals or {}).items()}
    with on_device(device):
        return _report(subject, _chosen(only, skip, slow), expected)


def _report(subject: Subject, chosen: Sequence[Check], expected: Mapping[str, re.Pattern[str]]) -> Report:
    obstacle = _obstacle(subject)
    results = []
    for entry in chosen:
        started = time.perf_counter()
        status: Status = "error"
        message = obstacle
        if not obstacle:
            status, message = _carry_out(entry, subject, expected.get(entry.name))
        seconds = time.perf_counter() - started
        results.append(CheckResult(entry.name, entry.title, entry.group, status, message, seconds))
    return Report(subject.name, tuple(results))


def _known(name: str) -> str:
    return check_known("check", name, [entry.name for entry in checks()])


def _chosen(only: Sequence[str] | None, skip: Sequence[str] | None, slow: bool) -> list[Check]:
    known = (*(entry.name for entry in checks()), *GROUPS)
    wanted = None if only is None else {check_known("check or group", name, known) for name in only}
    unwanted = {check_known("check or group", name, known) for name in skip or ()}
    chosen = []
    for entry in checks():
        by_group = (wanted is None or entry.group in wanted) and (slow or not entry.slow)
        by_name = wanted is not None and entry.name in wanted
        if (by_group or by_name) and not {entry.name, entry.group} & unwanted:
            chosen.append(entry)
    return chosen


def _obstacle(subject: Subject) -> str:
    """Say why nothing can be checked: the optimizer cannot be built, or takes no ordinary step. Empty if it can."""
    with _alone():
        try:
            params = make_params()
            before = values(params)
            optimizer: Any = subject.build(params)
            if not isinstance(optimizer, torch.optim.Optimizer):
                return f"gave {type(optimizer).__name__}, which is no torch.optim.Optimizer"
            run(optimizer, params, make_gradients(20))
            require_moved(before, params, "after 20 ordinary steps")
        except CheckFailure as failure:
            return str(failure)
        except Exception as error:  # noqa: BLE001 - whatever stops an ordinary step stops every check, and is said
            return f"takes no ordinary step: {describe(error)}"
    return ""


def _carry_out(entry: Check, subject: Subject, expected: re.Pattern[str] | None) -> tuple[Status, str]:
    with _alone():
        try:
            return "passed", entry.run(subject) or ""
        except NotApplicable as reason:
            return "not applicable", str(reason)
        except Refusal as reason:
            return "refused", str(reason)
        except CheckFailure as failure:
            documented = expected is not None and expected.search(str(failure))
            if documented and not isinstance(failure, HalfDone):
                return "refused", f"as documented: {failure}"
            return "failed", str(failure)
        except Exception as error:  # noqa: BLE001 - one check's trouble is not the others'
            if expected is not None and expected.search(str(error)):
                return "refused", f"as documented: {describe(error)}"
            # The optimizer's own code, or torch's under it, raised: that is a finding. The kit's own is no verdict.
            innermost = traceback.extract_tb(error.__traceback__)[-1].filename
            return "error" if Path(innermost).parent == _HERE else "failed", f"raised {describe(error)}"


@contextmanager
def _alone() -> Iterator[None]:
    """Keep warnings, random generators and torch's modes to the check."""
    dtype, state = torch.get_default_dtype(), random.getstate()
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), torch.enable_grad():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        random.seed(0)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            random.setstate(state)
