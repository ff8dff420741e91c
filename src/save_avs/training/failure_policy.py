"""What may go wrong in a step without ending a run: unreadable samples, losses that are no numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from save_avs.errors import DataError, SaveAvsError
from save_avs.training.bad_sample_guard import Bad, Guarded, Portion
from save_avs.training.choices import Policy
from save_avs.training.collate import to_device
from save_avs.training.distributed import DistributedContext
from save_avs.training.logger import Journal
from save_avs.training.step import Learner

HOPELESS = 20  # steps in a row without a finite gradient, after which no more will come
SHOWN = 8  # clips that a line names


class Mishaps:
    """Deals with them as the recipe says; all processes see the same and do the same.

    Args:
        non_finite, bad_samples: what the recipe says.
        processes: that train together.
        journal: is told.
    """

    def __init__(
        self, *, non_finite: Policy, bad_samples: Policy, processes: DistributedContext, journal: Journal
    ) -> None:
        self.non_finite, self.bad_samples = non_finite, bad_samples
        self.processes, self.journal = processes, journal
        self.in_a_row = 0

    def unreadable(self, step: int, bad: list[Bad]) -> None:
        """Samples of any process that could not be read.

        Raises:
            DataError: when the run is to stop.
        """
        if self.bad_samples == "stop":
            raise DataError(f"{bad[0].reason}; bad_samples=skip passes over such samples and lists them")
        for one in bad:
            self.journal.say(f"passed over: {one.reason}")
            if self.journal.main:
                self.journal.bad_samples.add({"step": step, **one._asdict()})

    def not_finite(self, step: int, learner: Learner, portions: Sequence[Portion]) -> None:
        """A step whose loss or gradient is no number, and which did not move the weights.

        Raises:
            SaveAvsError: when the run is to stop, or there were too many of them in a row.
        """
        where = f"step {step}: the loss or its gradient is not finite: {self._blame(learner, portions)}"
        if self.non_finite == "stop":
            raise SaveAvsError(
                f"{self.journal.stage}, {where}; lower lr, or pass over such steps with non_finite=skip"
            )
        self.in_a_row += 1
        if self.in_a_row == HOPELESS:
            raise SaveAvsError(
                f"{self.journal.stage}, {where}; that was the {HOPELESS}th in a row: lower lr, and go on "
                "from an earlier checkpoint"
            )
        self.journal.say(f"{where}; passed over")

    def finite(self) -> None:
        """A step went well."""
        self.in_a_row = 0

    def _blame(self, learner: Learner, portions: Sequence[Portion]) -> str:
        """Which items of the step have a loss that is no number by themselves, in all processes; in words.

        Each is read again and asked alone. Where weights are spread over processes all of the step are named:
        no process can compute by itself.
        """
        together = self.processes.sharding == "full"
        items = [i for portion in portions for i in portion.items]
        names = [name for i in items if (name := self._name(learner, i, together)) is not None]
        found = self.processes.gather(names)
        if not found:
            return "no clip by itself, all of them together"
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return f"{'among ' if together else ''}{', '.join(found[:SHOWN])}{more}"

    @torch.no_grad()
    def _name(self, learner: Learner, i: int, always: bool) -> str | None:
        """What the data calls an item whose loss is no number; None where it is one."""
        sample = Guarded(learner.task.stream)[i].sample
        if sample is None:
            return None
        name = str(getattr(getattr(sample, "sample", sample), "name", f"item {i}"))
        if always:
            return name
        batch = to_device(learner.task.collate([sample]), self.processes.device)
        with self.processes.autocast():
            loss = learner("loss", batch, learner.task.count(batch))["loss"]
        return None if bool(loss.isfinite()) else name
