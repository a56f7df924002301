"""Live curves of runs: TensorBoard, MLflow or Weights & Biases, in folders beside the store."""

from __future__ import annotations

import contextlib
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from waddington._checks import check_known, require_extra

__all__ = ["TRACKERS", "MLflow", "TensorBoard", "Tracker", "WeightsAndBiases", "watching"]


class Tracker(ABC):
    """Is told every row of a run's curve.

    Parameters
    ----------
    folder
        Where the tracker's files go; all runs of a store share it.
    name
        Of the run.
    config
        The run's spec: texts, numbers, lists and mappings.
    """

    @abstractmethod
    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None: ...

    @abstractmethod
    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Take the values of a step."""

    @abstractmethod
    def close(self) -> None:
        """End the run's curve."""


class TensorBoard(Tracker):
    """Event files for ``tensorboard --logdir FOLDER/tensorboard``."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        require_extra("tensorboard", "trackers")
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder / name))
        self._writer.add_text("spec", "\n".join(f"- {key}: {value}" for key, value in config.items()))

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Add a scalar for every value."""
        for key, value in values.items():
            self._writer.add_scalar(key, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


class MLflow(Tracker):
    """Runs of the experiment ``waddington``: ``mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow/mlflow.db``."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        client: Any = require_extra("mlflow.tracking", "trackers").MlflowClient
        require_extra("sqlalchemy", "bench")  # its plain client comes without; Optuna brings it
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):  # the first one makes the tables
            self._client = client(tracking_uri=f"sqlite:///{(folder / 'mlflow.db').resolve().as_posix()}")
            found = self._client.get_experiment_by_name("waddington")
            place = (folder / "artifacts").resolve().as_uri()
            experiment = (
                self._client.create_experiment("waddington", artifact_location=place)
                if found is None
                else found.experiment_id
            )
        self._run = self._client.create_run(experiment, run_name=name).info.run_id
        for key, value in config.items():
            self._client.log_param(self._run, key.replace("$", ""), value)

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Log a metric for every value."""
        for key, value in values.items():
            self._client.log_metric(self._run, key.replace(" ", "_"), value, step=step)

    def close(self) -> None:
        """Say that the run is over."""
        self._client.set_terminated(self._run)


class WeightsAndBiases(Tracker):
    """Offline runs of the project ``waddington``; ``wandb sync FOLDER/wandb/wandb/offline-*`` sends them."""

    def __init__(self, folder: Path, name: str, config: Mapping[str, Any]) -> None:
        wandb: Any = require_extra("wandb", "trackers")
        folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(silent=True, console="off")
        self._run = wandb.init(
            mode="offline",
            dir=str(folder),
            project="waddington",
            name=name,
            config=dict(config),
            reinit="create_new",
            settings=settings,
        )

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Log the values."""
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


TRACKERS: dict[str, type[Tracker]] = {"tensorboard": TensorBoard, "mlflow": MLflow, "wandb": WeightsAndBiases}
"""Trackers by name."""


@contextlib.contextmanager
def watching(
    names: tuple[str, ...], root: Path, name: str, config: Mapping[str, Any]
) -> Iterator[Callable[[dict[str, float]], None]]:
    """Give what is to be told every row of a curve, and close the trackers at the end.

    Parameters
    ----------
    names
        Of trackers; none watches nothing.
    root
        Folder of the store; each tracker has a folder of its name in it.
    name, config
        Of the run.

    Raises
    ------
    UnknownNameError
        No such tracker.
    MissingExtraError
        Its library is not installed.
    """
    with contextlib.ExitStack() as stack:
        opened = []
        for tracker in names:
            known = check_known("tracker", tracker, TRACKERS)
            opened.append(TRACKERS[known](root / known, name, config))
            stack.callback(opened[-1].close)

        def watch(row: dict[str, float]) -> None:
            values = {key: value for key, value in row.items() if key != "step" and math.isfinite(value)}
            for one in opened:
                one.row(int(row["step"]), values)

        yield watch
