"""The Ray engine: tasks on an existing cluster.

textmill and the run folder (a shared mount or an object store) must be reachable from every node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from textmill.errors import UserError
from textmill.pipeline.engine import Crash, Tell, find_function
from textmill.pipeline.worker import SINGLE_THREADED


class RayEngine:
    """Ray tasks, one core each.

    Args:
        workers: most tasks at a time; 0 or less means as many as the cluster takes.
        address: of the cluster; None starts one on this machine.

    Raises:
        UserError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, workers: int = 0, address: str | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError(
                "the ray engine needs Ray", hint="pip install 'textmill[ray]', or use --engine local"
            ) from error
        self._ray = ray
        self._started = False
        self.peak_bytes = 0
        self.workers = workers
        self.address = address

    def __enter__(self) -> RayEngine:
        if not self._ray.is_initialized():
            try:
                self._ray.init(
                    address=self.address,
                    include_dashboard=False,
                    log_to_driver=False,
                    runtime_env={"env_vars": SINGLE_THREADED},
                )
            except ConnectionError as error:
                raise UserError(
                    "no Ray cluster answers", where=str(self.address), hint="start one with: ray start --head"
                ) from error
            self._started = True
        return self

    def __exit__(self, *error: object) -> None:
        if self._started:
            self._ray.shutdown()

    def map(
        self, function: str, items: Sequence[Mapping[str, Any]], tell: Tell
    ) -> Iterator[tuple[int, Any | Crash]]:
        """See :meth:`textmill.pipeline.engine.Engine.map`. Reports come when a task has ended."""
        remote = self._ray.remote(num_cpus=1, max_retries=0)(_run)
        limit = self.workers if self.workers > 0 else len(items)
        waiting = list(enumerate(items))[::-1]
        running: dict[Any, int] = {}
        while waiting or running:
            while waiting and len(running) < limit:
                position, item = waiting.pop()
                running[remote.remote(function, dict(item))] = position
            done, _ = self._ray.wait(list(running), num_returns=1)
            position = running.pop(done[0])
            try:
                outcome = self._ray.get(done[0])
            except self._ray.exceptions.WorkerCrashedError as error:
                yield position, Crash(str(error).splitlines()[0])
                continue
            tell(outcome["reported"])
            if "user_error" in outcome:
                raise UserError(**outcome["user_error"])
            yield position, outcome["result"]


def _run(function: str, item: Mapping[str, Any]) -> dict[str, Any]:
    total: dict[str, Any] = {}

    def report(**values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, int | float):
                total[name] = total.get(name, 0) + value

    try:
        return {"result": find_function(function)(item, report), "reported": total}
    except UserError as error:
        fields = ("message", "expected", "found", "where", "hint")
        return {"user_error": {name: getattr(error, name) for name in fields}, "reported": total}
