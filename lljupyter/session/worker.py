"""Measures what a session asks for, task after task, in one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lljupyter.evaluate.evaluator import Evaluator
from lljupyter.evaluate.strategy import Values
from lljupyter.geometry.checkpoints import Checkpoint
from lljupyter.geometry.parameters import Parameters
from lljupyter.geometry.plane import Plane
from lljupyter.hessian.evaluator import CurvatureEvaluator
from lljupyter.process.priority import step_back
from lljupyter.session.preview import Sketch, Subsets
from lljupyter.session.schedule import Task

if TYPE_CHECKING:
    from lljupyter.session.session import Session

# A chunk of points takes about this long: a command is answered within one.
CHUNK_SECONDS = 0.05
# On so many points whose values are known, other ways to evaluate are tried.
N_KNOWN = 12


class Interrupted(Exception):
    """What is in hand is not wanted any more."""


class Measuring(Protocol):
    """What measures points: ``Evaluator`` and ``CurvatureEvaluator``."""

    @property
    def states(self) -> Mapping[str, Tensor]:
        """The parameters and floating-point buffers at the center."""

    @property
    def group(self) -> int:
        """How many points are evaluated at once."""

    @property
    def quantities(self) -> Sequence[str]:
        """What is measured."""

    @property
    def names(self) -> Sequence[str]:
        """The values of a point, in the order of the Dataset."""

    def leave_plane(self) -> None:
        """Frees the directions."""

    def set_plane(self, plane: Plane) -> None:
        """Chooses the plane that the next points belong to."""

    def evaluate(self, points: NDArray[np.float64], tick: Callable[[], None]) -> Values:
        """Returns the values of points, shape (k, 2)."""

    def evaluate_states(self, states: Parameters, label: str, tick: Callable[[], None]) -> Values:
        """Returns the values of a checkpoint."""


class Pauses:
    """A ``tick`` that waits while the session is paused.

    Attributes:
        seconds: For how long.
    """

    def __init__(self, session: Session, task: Task) -> None:
        self._session, self._task, self.seconds = session, task, 0.0

    def __call__(self) -> None:
        """Raises Interrupted when the task is not wanted any more."""
        self.seconds += self._session.check(self._task.request)


class Worker:
    """Measures the tasks of a session. Used by one thread.

    Args:
        session: Says what to measure, takes the values, and says before every batch whether they are still wanted.
        evaluator: Measures points and checkpoints.
        plane_for: Returns the plane of a seed.
        further: Measures the tasks of the second stage, or None.
    """

    def __init__(
        self,
        session: Session,
        evaluator: Measuring,
        plane_for: Callable[[int | None], Plane],
        further: Measuring | None = None,
    ) -> None:
        self._session = session
        self._evaluator = evaluator
        self._evaluators = [evaluator] if further is None else [evaluator, further]
        self._plane_for = plane_for
        self._plane_seeds: list[int | Literal["none yet"] | None] = ["none yet"] * len(self._evaluators)
        self._tuner = evaluator if isinstance(evaluator, Evaluator) else None
        # Points of this plane with their values, and by which strategy, while it is not settled which one is used.
        self._known: list[tuple[NDArray[np.float64], Values]] = []
        self._provisional: list[tuple[str, Task]] = []

    def subsets(self) -> Subsets | None:
        """Returns what the coarsest pass can be sketched from, or None where that does not do."""
        found = Subsets(self._evaluator.plain) if isinstance(self._evaluator, Evaluator) else None
        return found if found is not None and found.useful else None

    def serve(self) -> None:
        """Works whenever there is something to do, until the session is closed."""
        step_back()
        while self._session.wait_for_work():
            try:
                self.run()
            except BaseException as error:  # a model that calls sys.exit must not leave wait() hanging
                self._session.fail(RuntimeError(f"the engine was ended by {type(error).__name__}: {error}"))

    def run(self) -> None:
        """Works until there is nothing left to do for now."""
        while (task := self._session.next_task(self._chunk)) is not None:
            try:
                if task.refinement is not None:
                    self._session.refine(task)
                elif task.probe is not None:
                    self._session.on_probe(self._look_closely(task, *task.probe))
                elif task.sketch is not None:
                    self._sketch(task, task.sketch)
                else:
                    self._measure(task)
            except Interrupted:
                continue
            except Exception as error:
                self._session.fail(error, task.request)
            finally:
                self._session.leave()

    def _look_closely(self, task: Task, alpha: float, beta: float) -> dict[str, Any]:
        """Returns the quantities at a point, and what gradient and Hessian tell there; or why that failed."""
        answer: dict[str, Any] = {"alpha": alpha, "beta": beta}
        try:
            evaluator = self._evaluator
            if isinstance(evaluator, Evaluator):
                self._turn_to(task)
                values = evaluator.evaluate(np.array([[alpha, beta]]), self._session.check_probe)
                answer |= {name: float(column[0]) for name, column in values.items()}
            if not isinstance(evaluator, Evaluator) or not evaluator.problem.recalibrates:
                answer |= self._curvature(task).probe(alpha, beta, self._session.check_probe)
        except Interrupted:
            raise
        except Exception as error:  # a model that has no second derivatives still has a surface
            answer["error"] = str(error)
        return answer

    def _curvature(self, task: Task) -> CurvatureEvaluator:
        """Returns what measures the Hessian on the plane at hand; made when it is asked for first."""
        for stage, evaluator in enumerate(self._evaluators):
            if isinstance(evaluator, CurvatureEvaluator):
                self._turn_to(task._replace(stage=stage))
                return evaluator
        assert isinstance(self._evaluator, Evaluator)
        self._evaluators.append(CurvatureEvaluator(self._evaluator.problem))
        self._plane_seeds.append("none yet")
        return self._curvature(task)

    def _chunk(self, pace: float | None) -> int:
        group = self._evaluator.group
        fitting = int(CHUNK_SECONDS / max(CHUNK_SECONDS if pace is None else pace, 1e-9))
        return max(fitting // group, 1) * group

    def _sketch(self, task: Task, sketch: Sketch) -> None:
        assert isinstance(self._evaluator, Evaluator)
        self._turn_to(task)
        pauses = Pauses(self._session, task)
        started = time.monotonic()
        try:
            sketch.measure(task.request, self._evaluator.plain, pauses)
        except Interrupted:
            raise
        except Exception:  # what is wrong with the model, the points themselves tell
            sketch.give_up()
        else:
            self._session.take(task, [], time.monotonic() - started - pauses.seconds)

    def _measure(self, task: Task) -> None:
        tick = Pauses(self._session, task)
        if task.checkpoint is None:
            self._turn_to(task)
        started = time.monotonic()
        measured = self._at_points(task, tick) if task.checkpoint is None else self._at(task.checkpoint[1], tick)
        names = self._evaluators[task.stage].names
        table = np.stack([measured[name] for name in names], axis=1).tolist()
        self._session.take(task, table, time.monotonic() - started - tick.seconds)
        if task.checkpoint is None and task.stage == 0:
            self._choose(task, measured, tick)

    def _choose(self, task: Task, measured: Values, tick: Callable[[], None]) -> None:
        """Tries another way to evaluate, if it is time to; measures again what another one than chosen measured."""
        tuner = self._tuner
        if tuner is None:
            return
        self._provisional.append((tuner.label, task))
        if not tuner.reduced and sum(len(points) for points, _ in self._known) < N_KNOWN:
            self._known.append((_points(task), measured))
        remaining, coarse = self._session.outlook()
        if tuner.is_ready(remaining, coarse):
            points = np.concatenate([points for points, _ in self._known])
            values = {name: np.concatenate([values[name] for _, values in self._known]) for name in measured}
            tuner.tune(points, values, tick)
            self._session.note(tuner.report())
        elif not tuner.is_pending(remaining):
            chosen = tuner.label
            self._session.again([task for label, task in self._provisional if label != chosen])
            self._provisional = []
            self._session.note(tuner.report())

    def _turn_to(self, task: Task) -> None:
        evaluator, seed = self._evaluators[task.stage], task.request.seed
        if self._plane_seeds[task.stage] == seed:
            return
        self._plane_seeds[task.stage] = "none yet"  # an error below leaves the evaluator without a plane
        evaluator.leave_plane()
        evaluator.set_plane(self._plane_for(seed))
        self._plane_seeds[task.stage] = seed
        if task.stage == 0:
            self._known, self._provisional = [], []

    def _at_points(self, task: Task, tick: Callable[[], None]) -> Values:
        return self._evaluators[task.stage].evaluate(_points(task), tick)

    def _at(self, checkpoint: Checkpoint, tick: Callable[[], None]) -> Values:
        try:
            states = checkpoint.tensors(self._evaluator.states)
            return self._evaluator.evaluate_states(states, f"checkpoint {checkpoint.label}", tick)
        finally:
            checkpoint.close()


def _points(task: Task) -> NDArray[np.float64]:
    return np.array([(task.request.alpha[column], task.request.beta[row]) for row, column in task.cells])
