"""The main job: cells in; embeddings, pseudotime, agents, metrics, pictures and a model out."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.errors import WaddingtonError
from waddington.jobs import Listener
from waddington.twin.data import io
from waddington.twin.data.io.reading import Source
from waddington.twin.evaluate.protocol import write_tables
from waddington.twin.models import Twin
from waddington.twin.models.profiles import fit_response
from waddington.twin.report.page import Verdict, write_report
from waddington.twin.respond.registry import DEFAULT_MODEL
from waddington.twin.run.artifacts import joint_latent, read_arrays
from waddington.twin.run.cells import as_measured, hand_back
from waddington.twin.run.choice import Chosen
from waddington.twin.run.config import RunConfig, flatten
from waddington.twin.run.data import RunData, is_saved, load, save
from waddington.twin.run.evaluation_pictures import evaluation_pictures, evaluation_tables
from waddington.twin.run.evaluation_verdicts import verdicts_of
from waddington.twin.run.folder import RunFolder, fingerprint
from waddington.twin.run.loss_surface import write_loss_landscape
from waddington.twin.run.model import assemble_model
from waddington.twin.run.outputs import versions, write_config, write_measurability, write_metrics, write_weights
from waddington.twin.run.pictures import metric_panels, shortened_labels, write_pictures
from waddington.twin.run.plain import write_cells
from waddington.twin.run.predicting import predictions
from waddington.twin.run.prediction_jobs import read_evaluation
from waddington.twin.run.prepare import prepare, read_all_cells
from waddington.twin.run.records import RunRecords
from waddington.twin.run.report_text import data_facts, method, notes, question, tables
from waddington.twin.run.schedule import run_schedule
from waddington.twin.run.verdict_rules import verdicts

__all__ = ["RunResult", "run"]

_SOURCES = ("file", "rna", "atac", "protein")


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run found and where it is."""

    out: Path
    """Folder of the outputs."""
    metrics: pd.DataFrame
    """Tidy metrics, the content of `metrics.csv`."""
    verdicts: tuple[Verdict, ...]
    """What the numbers say, by the rules of :mod:`waddington.twin.run.verdict_rules`."""
    config: RunConfig
    """What was run."""
    notes: tuple[str, ...] = ()
    """What a reader must know before believing the numbers, what matters most first."""

    @functools.cached_property
    def cells(self) -> md.MuData:
        """The cells with what the run found of each, read from `cells.h5mu` when first asked for."""
        with md.set_options(pull_on_update=False):
            return md.read_h5mu(self.out / "cells.h5mu")

    @functools.cached_property
    def model(self) -> Twin:
        """The model, read from `model/` when first asked for."""
        return Twin.load(self.out / "model")


def run(
    file: Source | None = None,
    *,
    out: str | os.PathLike[str],
    resume: bool = False,
    preset: str = "default",
    listener: Listener | None = None,
    **fields: Any,
) -> RunResult:
    """Run the twin end to end.

    Parameters
    ----------
    file
        A multimodal file, or an AnnData or MuData in memory, which is not changed; so are `rna`, `atac` and `protein`.
        Cells from memory are kept in the run's folder, from where the run may go on without them. Nothing at all: the
        simulator.
    out
        Folder for the outputs; refused if it holds another run.
    resume
        Go on with the run that is in `out`; where there is none, that is said and a new one starts. It ends with the
        same metrics as an undisturbed one.
    preset
        ``"smoke"``, ``"default"`` or ``"paper"``.
    listener
        Told how far the run is.
    **fields
        Fields of :class:`RunConfig`, such as ``optimizer=["Adam", "ASGDAdam"]``, by their flat names or in sections.

    Returns
    -------
    RunResult
        Metrics and verdicts; everything else is in `out`.

    Raises
    ------
    ArgumentError
        For a field that is unknown or outside its range.
    DataError
        For input that cannot be used, before any long work.
    OutputError
        When `out` cannot be written, holds another run, or another process writes there.
    """
    settings = flatten(fields if file is None else {**fields, "file": file})
    given = {name: settings[name] for name in _SOURCES if settings.get(name) is not None}
    kept, beside = Path(out) / "work" / "cells.h5mu", Path(out) / "work" / "left_out.h5mu"
    in_memory = any(isinstance(source, ad.AnnData | md.MuData) for source in given.values())
    if in_memory or (resume and not given and kept.exists()):
        settings = {name: value for name, value in settings.items() if name not in _SOURCES} | {"file": kept}
    config = RunConfig.of(preset, **settings)
    listener = listener or Listener()
    folder = RunFolder(Path(out), resume=resume)
    if resume and folder.is_empty:
        listener.note(f"nothing to resume in {str(out)!r}: a new run starts there")
    with folder.locked():
        listener.stage("Reading cells", 1)
        if in_memory:
            mdata, others = io.read_all(given.pop("file", None), **{**config.read.arguments(), **given})
        elif config.read.file == str(kept):
            mdata, others = md.read_h5mu(kept), md.read_h5mu(beside) if beside.exists() else None
        else:
            mdata, others = read_all_cells(config)
        data = fingerprint(mdata)
        listener.advance()
        folder.claim(config, data)
        if in_memory and not kept.exists():
            if others is not None:  # first: where the cells are kept, those left out are, too
                _keep(others, beside, listener)
            _keep(mdata, kept, listener)
        cells = as_measured(mdata), None if others is None else as_measured(others)
        try:
            prepared = _prepared(mdata, config, folder, listener)
        except WaddingtonError:
            folder.forget()
            raise
        del mdata, others
        finished, chosen = run_schedule(
            config, folder, listener, modalities=prepared.inputs, judges=prepared.design.kind != "pseudotime"
        )
        return _write_outputs(config, folder, prepared, finished, chosen, cells, data, listener)


def _keep(mdata: md.MuData, path: Path, listener: Listener) -> None:
    """Write cells; what no file can hold is kept as text or left out of them, and that is said."""
    for sentence in write_cells(mdata, path):
        listener.note(f"{path.name}: {sentence}")


def _prepared(mdata: md.MuData, config: RunConfig, folder: RunFolder, listener: Listener) -> RunData:
    listener.stage("Preparing cells", 5)
    if not is_saved(folder.prepared):
        save(prepare(mdata, config, step=listener.advance), folder.prepared)
    return load(folder.prepared)


def _write_outputs(
    config: RunConfig,
    folder: RunFolder,
    prepared: RunData,
    finished: RunRecords,
    chosen: Chosen,
    cells: tuple[md.MuData, md.MuData | None],
    data: str,
    listener: Listener,
) -> RunResult:
    metrics = finished.metrics()
    listener.stage("Writing results", 9 + len(metric_panels(metrics)))
    judged = None if finished.judged is None else read_evaluation(folder.files_of(finished.judged))
    found = [] if judged is None else list(verdicts_of(judged))
    found += verdicts(metrics, optimizers=config.optimizer, best=finished.best(), measurability=finished.measurability)
    write_metrics(folder, metrics)
    write_measurability(folder, finished.measurability)
    response = fit_response(None, prepared.inputs, prepared.names, prepared.design, model=DEFAULT_MODEL)
    assemble_model(folder, config, prepared, chosen, response).save(folder.path / "model", overwrite=True)
    write_weights(folder, config, prepared, chosen)
    listener.advance()
    predicted = predictions(prepared, finished, response)
    io.write(predicted, folder.path / "predictions.h5mu")
    listener.advance()
    files = folder.files_of(chosen.encoder)
    joint = joint_latent(files, prepared.design.train)
    handed = hand_back(*cells, prepared, config, chosen, joint=joint, embeddings=read_arrays(files))
    _keep(handed, folder.path / "cells.h5mu", listener)
    listener.advance()
    latent, trajectories = _drawn(folder, prepared, chosen)
    pictures = write_pictures(
        folder,
        prepared,
        finished,
        metrics,
        latent=latent,
        trajectories=trajectories,
        predicted=predicted,
        tell=listener.advance,
    )
    pictures |= write_loss_landscape(folder, config, prepared, finished)
    listener.advance()
    if judged is not None:
        write_tables(judged, folder.path)
        pictures = {**evaluation_pictures(judged, folder.path), **pictures}
    write_config(folder, config, finished, chosen, data)
    said = notes(config, prepared, finished)
    write_report(
        folder.path / "report.html",
        title="Digital twin report",
        verdicts=found,
        metrics=metrics,
        history=finished.history(),
        figures=pictures,
        question=question(config, prepared),
        data=data_facts(prepared, finished),
        method=method(config, prepared, chosen),
        notes=said,
        tables={
            **({} if judged is None else evaluation_tables(judged)),
            **tables(finished),
            **shortened_labels(prepared, trajectories),
        },
        config=config.to_dict(),
        versions=versions(),
        seeds=config.evaluation_seeds,
    )
    listener.advance()
    return RunResult(out=folder.path, metrics=metrics, verdicts=tuple(found), config=config, notes=tuple(said))


def _drawn(
    folder: RunFolder, prepared: RunData, chosen: Chosen
) -> tuple[npt.NDArray[np.float32], dict[str, npt.NDArray[np.float32]]]:
    """Give the latent space that is drawn, and the paths on which the chosen agent led cells through it."""
    agent, train = chosen.agent, prepared.design.train
    if agent is None or agent.encoder is None:
        return joint_latent(folder.files_of(chosen.encoder), train), {}
    return joint_latent(folder.files_of(agent.encoder), train), read_arrays(folder.files_of(agent))
