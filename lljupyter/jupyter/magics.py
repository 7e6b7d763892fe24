"""``%landscape`` and ``%%record_trajectory``. Torch and the widget are imported when one of them is used."""

from __future__ import annotations

import ast
import contextlib
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from lljupyter.compute.options import TABLES
from lljupyter.compute.signatures import explanations
from lljupyter.jupyter.options import WIDGET_DEFAULTS, StyleOptions
from lljupyter.process.notices import warn
from lljupyter.surface.style import STYLE

OPTIONS = {
    "%landscape": ("--seed", "--range", "--resolution", "--view", "--scale", "--device", "--max-samples"),
    "%%record_trajectory": ("--every", "--model", "--folder", "--resume"),
}
VALUES = {"--view": STYLE["view"].choices, "--scale": STYLE["scale"].choices, "--device": ("cpu", "cuda", "mps")}
ABOUT = explanations((*TABLES, StyleOptions))


def _option(name: str, **how: Any) -> Any:
    """Return an option of ``%landscape`` with the default and the explanation of the widget's option."""
    flag = f"--{name.replace('_', '-')}"
    about = " ".join(ABOUT[name].split()).replace("%", "%%")
    return argument(flag, default=WIDGET_DEFAULTS[name], help=about, **how)  # type: ignore[literal-required]


@magics_class
class LandscapeMagics(Magics):
    """The magics of ``%load_ext lljupyter``."""

    @no_var_expand
    @magic_arguments()
    @argument("model", help="a trained torch.nn.Module: a name or an expression, in quotes if it contains spaces")
    @argument("loader", help="yields (inputs, targets) batches: a name or an expression")
    @_option("seed", type=int)
    @argument("--range", type=float, default=1.0, help="alpha and beta go from -RANGE to RANGE")
    @_option("resolution", type=int)
    @_option("view", choices=VALUES["--view"])
    @_option("scale", choices=VALUES["--scale"])
    @_option("device")
    @_option("max_samples", type=int)
    @line_magic
    def landscape(self, line: str) -> Any:
        """Show the loss landscape of a model while it is computed.

        The same as LandscapeWidget(model, loader, ...), which has more options; the magic returns the widget:

            w = %landscape model loader --seed 3 --range 0.5 --resolution 51
        """
        options = parse_argstring(self.landscape, line)
        if not options.range > 0:
            raise UsageError(f"expected --range above 0, got {options.range:g}; try --range 0.5")
        model, loader = self._value("model", options.model), self._value("loader", options.loader)
        ends = (-options.range, options.range)
        chosen = {name: getattr(options, name) for name in ("seed", "resolution", "view", "scale", "device")}
        from lljupyter.jupyter.widget import LandscapeWidget

        try:
            return LandscapeWidget(model, loader, alpha=ends, beta=ends, max_samples=options.max_samples, **chosen)
        except (TypeError, ValueError) as error:
            raise UsageError(str(error)) from error

    @no_var_expand
    @magic_arguments()
    @argument("name", help="a new variable, which then holds the folder of the checkpoints")
    @argument("--every", type=int, default=1, help="optimizer steps between checkpoints")
    @argument("--model", default=None, help="the model, if the optimizer's parameters belong to several models")
    @argument("--folder", default=None, help="where to write; by default a folder of that name")
    @argument("--resume", action="store_true", help="continue after the checkpoints in the folder")
    @cell_magic
    def record_trajectory(self, line: str, cell: str) -> Any:
        """Record the training run in this cell, for LandscapeWidget(model, loader, trajectory=name).

        The recorded model is the one that the first optimizer to take a step updates. Running the cell again replaces
        the checkpoints. lljupyter.TrajectoryRecorder does the same outside of notebooks.

            %%record_trajectory run --every 10
            train(model, optimizer)
        """
        options = parse_argstring(self.record_trajectory, line)
        name, current = options.name, self.shell.user_ns.get(options.name)
        if not name.isidentifier() or (current is not None and not isinstance(current, Path)):
            raise UsageError(
                f"expected a new name for the run, got {name!r}{' is taken' * (current is not None)}; try run"
            )
        if options.every < 1:
            raise UsageError(f"expected --every of at least 1, got {options.every}; try --every 10")
        model = None if options.model is None else self._value("model", options.model)
        folder = Path(options.folder or name)
        recording = _Recording(self.shell.user_ns, model, folder, options.every, None if options.resume else 0)
        with recording:
            value = self._run(cell, recording.look_for_wrappers)
        if recording.recorder is None:
            raise UsageError("expected an optimizer that makes a step in the cell, got none; record the training loop")
        self.shell.user_ns[name] = folder
        print(f"recorded {len(list(folder.glob('step-*.safetensors')))} checkpoints in {folder}")
        return value

    def _value(self, what: str, expression: str) -> Any:
        """Return the value of an argument in the namespace of the notebook."""
        if len(expression) > 1 and expression[0] == expression[-1] and expression[0] in "\"'":
            expression = expression[1:-1]
        try:
            return self.shell.ev(expression)
        except Exception as error:
            raise UsageError(
                f"expected {what} as a name or an expression of this notebook, got {expression!r} "
                f"({type(error).__name__}: {error}); an expression with spaces needs quotes"
            ) from error

    def _run(self, cell: str, before_each: Callable[[], None]) -> Any:
        """Run a cell, raise what it raises, and return the value of its last expression.

        Args:
            cell: Its source.
            before_each: Called before each of its statements.
        """
        shell = self.shell
        source = shell.transform_cell(cell)
        name = shell.compile.cache(source, shell.execution_count, raw_code=cell)
        body = shell.transform_ast(shell.compile.ast_parse(source, name)).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";") else None
        for statement in body:
            before_each()
            exec(shell.compile(ast.Module([statement], []), name, "exec"), shell.user_ns)
        if last is None:
            return None
        before_each()
        return eval(shell.compile(ast.Expression(last.value), name, "eval"), shell.user_ns)


class _Recording:
    """Start a recorder before the first step that any optimizer makes, and end it with the block.

    Args:
        names: The namespace in which the model is looked for.
        model: The model, or None.
        folder: For the checkpoints.
        every: Steps between checkpoints.
        start: The step that training starts from; None goes on after the last one recorded.
    """

    def __init__(self, names: dict[str, Any], model: Any, folder: Path, every: int, start: int | None) -> None:
        self._names, self._model, self._folder, self._every, self._start = names, model, folder, every, start
        self._left = False
        self.recorder: Any = None

    def __enter__(self) -> None:
        from torch.optim.optimizer import register_optimizer_step_pre_hook

        self._replaced: list[tuple[Any, Callable[[], None]]] = []
        self._hook = register_optimizer_step_pre_hook(self._before_step)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._hook.remove()
        self._leave_wrappers()
        if self.recorder is not None:
            self.recorder.__exit__(kind, error, traceback)

    def look_for_wrappers(self) -> None:
        """Find optimizers that are wrapped around others, to begin before a step of theirs.

        Within it, when the optimizer inside makes its step, the weights may be others already, as in a schedule-free
        wrapper.
        """
        from lljupyter.training.steps import is_optimizer, nested_optimizers

        if self.recorder is None:
            for value in list(self._names.values()):
                if is_optimizer(value) and len(nested_optimizers(value)) > 1:
                    self._begin_before(value)

    def _begin_before(self, wrapper: Any) -> None:
        from lljupyter.training.steps import replace_step

        if any(one is wrapper for one, _ in self._replaced):
            return
        original = wrapper.step

        @functools.wraps(original)
        def step(_: Any, *args: Any, **options: Any) -> Any:
            if self.recorder is not None or self._left:
                return original(*args, **options)
            self._begin(wrapper)
            return wrapper.step(*args, **options)

        with contextlib.suppress(TypeError):  # it can't be replaced, and the recorder will refuse it
            self._replaced.append((wrapper, replace_step(wrapper, step)))

    def _leave_wrappers(self) -> None:
        self._left = True  # a scheduler that was made meanwhile may have wrapped the ``step`` of ours
        for _, undo in reversed(self._replaced):
            undo()

    def _before_step(self, optimizer: Any, *_: Any) -> None:
        if self.recorder is not None:
            return
        if (wrapper := _wrapper_in_its_step(optimizer)) is None:
            self._begin(optimizer)
        elif not any(one is wrapper for one, _ in self._replaced):
            warn(
                [
                    f"the first step of {type(wrapper).__name__} is not recorded, as it was not known before: make the "
                    "optimizer in a statement before the one that trains"
                ]
            )
            self._begin_before(wrapper)

    def _begin(self, optimizer: Any) -> None:
        from lljupyter.training.recorder import TrajectoryRecorder
        from lljupyter.training.steps import is_optimizer, nested_optimizers

        self._leave_wrappers()
        nests = [nested_optimizers(value) for value in list(self._names.values()) if is_optimizer(value)]
        around = [nest for nest in nests if any(inner is optimizer for inner in nest)]
        optimizer = max(around, key=len)[0] if around else optimizer
        model = self._model if self._model is not None else self._owner(optimizer)
        recorder = TrajectoryRecorder(model, optimizer, self._folder, every=self._every, start=self._start)
        recorder.__enter__()
        self.recorder = recorder

    def _owner(self, optimizer: Any) -> Any:
        """Return the smallest module of the notebook that has all parameters of the optimizer."""
        from torch import nn

        trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
        modules = [value for value in list(self._names.values()) if isinstance(value, nn.Module)]
        owners = [module for module in modules if trained <= {id(parameter) for parameter in module.parameters()}]
        if not owners:
            raise ValueError(
                "expected a model of this notebook that has the parameters of the optimizer, got none; "
                "keep it in a variable, or name it with --model"
            )
        return min(owners, key=lambda module: sum(1 for _ in module.parameters()))


def _wrapper_in_its_step(optimizer: Any) -> Any:
    """Return the outermost optimizer around another one whose ``step`` is running now, or None."""
    from lljupyter.training.steps import is_optimizer, nested_optimizers

    found, frame = None, sys._getframe()
    while (outer := frame.f_back) is not None:
        frame = outer
        one = frame.f_locals.get("self") if frame.f_code.co_name == "step" else None
        if one is not optimizer and is_optimizer(one) and any(inner is optimizer for inner in nested_optimizers(one)):
            found = one
    return found


def complete(shell: Any, event: Any) -> list[str]:
    """Complete options, their values, and names of the notebook: models first, if torch is loaded."""
    magic, *words = event.line.split()
    before = words[:-1] if event.symbol and words else words
    if event.symbol.startswith("-"):
        candidates = list(OPTIONS[magic])
    elif before and before[-1] in VALUES:
        candidates = list(VALUES[before[-1]])
    elif magic == "%landscape":
        names = {name: value for name, value in shell.user_ns.items() if not name.startswith("_")}
        torch = sys.modules.get("torch")
        wants_model = not [word for word in before if not word.startswith("-")]
        models = [name for name, value in names.items() if torch and isinstance(value, torch.nn.Module)]
        loaders = [name for name, value in names.items() if name not in models and hasattr(value, "__iter__")]
        candidates = models if wants_model and models else loaders
    else:
        candidates = []
    return [text for text in candidates if text.startswith(event.symbol)]
