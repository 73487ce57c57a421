"""Several checkpoints measured on the same held-out data, so that one can be chosen. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from model.checkpoint import DEFAULT_CHECKPOINT, Checkpoint, load_checkpoint
from model.errors import ComparisonError
from model.evaluate import Evaluation, Row, evaluate_checkpoint, held_out_split


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One of the checkpoints: how large it is, and what it scores."""

    checkpoint: str  # as the caller calls it: two may have one name of their own
    num_parameters: int
    size_bytes: int  # of all files of the folder
    evaluation: Evaluation

    def to_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


def compare_checkpoints(
    checkpoints: Mapping[str, Path | None], data: Path, *, on_row: Callable[[str, Row], None] = lambda name, row: None
) -> list[Compared]:
    """Measure checkpoints (name -> folder; None: the packaged one) as `evaluate_checkpoint` does, in their order.

    `on_row` sees each row early. Raises CheckpointError and DataError, and ComparisonError where there are less than
    two, or where they did not hold the same films out: one would be measured on films that another learnt from.
    All checkpoints are checked before the first is measured.
    """
    if len(checkpoints) < 2:
        raise ComparisonError("two different checkpoints at least are needed for a comparison")
    folders = {name: folder or DEFAULT_CHECKPOINT for name, folder in checkpoints.items()}
    loaded = {name: load_checkpoint(folder) for name, folder in folders.items()}
    _check_splits(loaded)
    return [
        Compared(
            checkpoint=name,
            num_parameters=sum(tensor.size for tensor in loaded[name].weights.values()),
            size_bytes=sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
            evaluation=evaluate_checkpoint(folder, data, on_row=partial(on_row, name)),
        )
        for name, folder in folders.items()
    ]


def _check_splits(loaded: Mapping[str, Checkpoint]) -> None:
    splits = {name: held_out_split(checkpoint.metrics) for name, checkpoint in loaded.items()}
    (first, (dev_share, split_seed)), *_ = splits.items()
    if len(set(splits.values())) > 1:
        told = "; ".join(f"{name}: dev_share={share}, split_seed={seed}" for name, (share, seed) in splits.items())
        raise ComparisonError(
            "these checkpoints held different films out of their training, so that each would be measured on films "
            f"that another one learnt from ({told}). Compare those of one split, or train the others again as {first} "
            f"was: sentiment train --set dev_share={dev_share} --set split_seed={split_seed}"
        )
