"""The one head of the embedding benchmarks, and what it is asked.

Every representation is standardized and read by the same linear head, whose strength is chosen by cross-validation on
training cells alone; everything is scored on the other cells.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

__all__ = ["correlation_by_feature", "foscttm", "probe", "read_out", "shared_space"]

_STRENGTHS = (0.01, 0.1, 1.0)
_PENALTIES = np.logspace(-1, 5, 13)


def probe(space: np.ndarray, labels: np.ndarray, train: np.ndarray, *, seed: int) -> float:
    """Score a linear probe on test cells: balanced accuracy of text (chance is 1 / classes), R² of numbers."""
    if labels.dtype.kind == "f":
        known = np.isfinite(labels)
        fit, test = known & train, known & ~train
        head = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(space[fit], labels[fit])
        return float(head.score(space[test], labels[test]))
    known = labels != ""
    fit, test = known & train, known & ~train
    folds = StratifiedKFold(3, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # classes that a fold lacks
        head = GridSearchCV(
            make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, class_weight="balanced")),
            {"logisticregression__C": _STRENGTHS}, scoring="balanced_accuracy", cv=folds,
        ).fit(space[fit], labels[fit])  # fmt: skip
        return float(balanced_accuracy_score(labels[test], head.predict(space[test])))


def read_out(
    space: np.ndarray, target: np.ndarray, train: np.ndarray, *, other: np.ndarray | None = None
) -> np.ndarray:
    """Predict features of all cells by ridge regression on training cells; `other` are coordinates to predict from."""
    head = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(space[train], target[train])
    return np.asarray(head.predict(space if other is None else other))


def correlation_by_feature(predicted: np.ndarray, observed: np.ndarray) -> float:
    """Mean over features of Pearson's r over cells; one that does not vary is left out, a constant prediction is 0."""
    a, b = predicted - predicted.mean(axis=0), observed - observed.mean(axis=0)
    size = np.sqrt((b**2).sum(axis=0))
    varies = size > 1e-6
    norm = np.sqrt((a**2).sum(axis=0)) * size
    r = np.divide((a * b).sum(axis=0), norm, out=np.zeros(a.shape[1]), where=norm > 1e-9)
    return float(r[varies].mean())


def shared_space(
    first: np.ndarray, second: np.ndarray, train: np.ndarray, *, shrinkage: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Bring two views of the same cells into one space: canonical correlations of the training pairs."""
    whitened = []
    for view in (first, second):
        centred = view - view[train].mean(axis=0)
        covariance = np.cov(centred[train].T)
        covariance = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / len(covariance) * np.eye(
            len(covariance)
        )
        values, vectors = np.linalg.eigh(covariance)
        whitened.append(centred @ vectors / np.sqrt(values))
    left, strength, right = np.linalg.svd(whitened[0][train].T @ whitened[1][train] / train.sum(), full_matrices=False)
    return whitened[0] @ left * strength, whitened[1] @ right.T * strength


def foscttm(first: np.ndarray, second: np.ndarray) -> float:
    """Give the share of other cells closer than the true match, mean of both ways: 0 is perfect, 0.5 is chance."""
    unit = [x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9) for x in (first, second)]
    near = unit[0] @ unit[1].T
    own = np.diag(near)
    n = len(near)
    return float(0.5 * ((near > own[:, None]).sum() + (near > own[None, :]).sum()) / (n * (n - 1)))
