"""A deterministic scheduler: a virtual clock, processes, and their threads. Only one thread runs at a time.

A thread of the relay becomes a `Task`: a real thread that runs only while the scheduler lets it. It yields wherever a real
thread could be delayed: before a call of Redis, while IEM answers, while it waits. Between two yields nothing else happens, so
that the same decisions always lead to the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import cast

from relay.clock import Clock

#: When a run begins (Unix ms).
START = 1_790_000_000_000
#: Later than any time in a run (Unix ms).
NEVER = START * 2


class Crash(BaseException):
    """The process of this task has died. Nothing may catch it."""


class InvariantViolation(BaseException):
    """An invariant was violated inside a task. The relay's own handlers must not catch it."""


def require(holds: object, invariant: str) -> None:
    """End the run unless `invariant` holds; inside a task as well."""
    if not holds:
        raise InvariantViolation(invariant)


class Process:
    """A process of the relay. All its tasks end with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False


class Task:
    """A thread of a process. `resume` runs it up to its next `pause`, or to its end."""

    def __init__(self, scheduler: Scheduler, process: Process, name: str, work: Callable[[], object]) -> None:
        self.process = process
        self.name = name
        self.is_done = False
        self.has_begun = False
        self.result: object = None
        self.error: Exception | None = None
        #: While the task pauses, it may resume between these times (Unix ms), unless `is_blocked`.
        self.earliest, self.latest = 0, NEVER
        self.is_blocked: Callable[[], bool] = _never
        self._scheduler = scheduler
        self._work = work
        self._violation: InvariantViolation | None = None
        self._may_run, self._has_yielded = threading.Semaphore(0), threading.Semaphore(0)

    def resume(self) -> None:
        """Run the task until it pauses or ends.

        Raises:
            AssertionError: an invariant was violated.
        """
        self.earliest, self.latest, self.is_blocked = 0, NEVER, _never
        if not self.has_begun:
            if self.process.is_dead:
                self.is_done = True
                return
            self.has_begun = True
            threading.Thread(target=self._run, name=self.name, daemon=True).start()
        self._scheduler.current, previous = self, self._scheduler.current
        self._may_run.release()
        self._has_yielded.acquire()
        self._scheduler.current = previous
        if self._violation is not None:
            violation, self._violation = self._violation, None
            raise AssertionError(str(violation)) from violation

    def pause(self, *, earliest: int, latest: int, is_blocked: Callable[[], bool] | None = None) -> None:
        """Yield, in the task's own thread, until the scheduler resumes the task between these times (Unix ms)."""
        if self.process.is_dead:
            raise Crash
        self.earliest, self.latest, self.is_blocked = earliest, latest, is_blocked or _never
        self._has_yielded.release()
        self._may_run.acquire()
        if self.process.is_dead:
            raise Crash

    def _run(self) -> None:
        self._may_run.acquire()
        try:
            self.result = self._work()
        except Crash:
            pass
        except Exception as error:  # noqa: BLE001 - the caller of `resume` looks at it
            self.error = error
        except InvariantViolation as violation:
            self._violation = violation
        self.is_done = True
        self._has_yielded.release()


class Scheduler:
    """The virtual clock and all tasks."""

    def __init__(self) -> None:
        self.now = START
        #: The task that runs; None between tasks.
        self.current: Task | None = None
        self.tasks: list[Task] = []
        self.clock = Clock(now_ms=lambda: self.now, monotonic=self.monotonic, wait=self.wait)
        #: Time (Unix ms), sequence number, and action.
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count(1)

    def monotonic(self) -> float:
        """Return the seconds since a moment before the start."""
        return (self.now - START) / 1000 + 1000

    def wait(self, seconds: float) -> None:
        """Pause the current task for `seconds`."""
        until = self.now + max(1, round(seconds * 1000))
        self.pause(earliest=until, latest=until)

    def pause(self, *, earliest: int, latest: int, is_blocked: Callable[[], bool] | None = None) -> None:
        """Pause the current task. Code outside of tasks never pauses."""
        if self.current is not None:
            self.current.pause(earliest=earliest, latest=latest, is_blocked=is_blocked)

    def spawn(self, process: Process, name: str, work: Callable[[], object]) -> Task:
        """Return a new task that has not begun."""
        task = Task(self, process, name, work)
        self.tasks.append(task)
        return task

    def call_at(self, when: int, action: Callable[[], None]) -> None:
        """Call `action` at `when` (Unix ms), between two tasks."""
        self._timers.append((when, next(self._numbers), action))

    def run(self, task: Task, resumes: int) -> None:
        """Resume `task` up to `resumes` times. The clock advances if the task waits."""
        for _ in range(resumes):
            self.advance_to(task.earliest)
            if task.is_done or (task.is_blocked() and self.now < task.latest):
                break
            if task.earliest <= self.now:
                task.resume()
        self.remove_finished()

    def advance_to(self, when: int) -> None:
        """Advance the clock to `when` (Unix ms). On the way, run the tasks and timers that cannot be delayed any longer."""
        while True:
            self.remove_finished()
            due = min(self.tasks, key=lambda task: task.latest, default=None)
            timer = min(self._timers, default=None)
            if due is not None and due.latest <= min(when, timer[0] if timer else NEVER):
                self.now = max(self.now, due.latest)
                due.resume()
            elif timer is not None and timer[0] <= when:
                self._timers.remove(timer)
                self.now = max(self.now, timer[0])
                timer[2]()
            else:
                break
        self.now = max(self.now, when)

    def kill(self, process: Process) -> None:
        """End a process, wherever its tasks pause."""
        process.is_dead = True
        for task in self.tasks:
            while task.process is process and not task.is_done:
                task.resume()
        self.remove_finished()

    def remove_finished(self) -> None:
        """Remove finished tasks. If a process has died in one of its tasks, end the others."""
        for process in {task.process for task in self.tasks if task.process.is_dead and not task.is_done}:
            self.kill(process)
        self.tasks = [task for task in self.tasks if not task.is_done]


class TaskLock:
    """A lock for threads that are tasks, with the interface of `threading.Lock`."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._is_taken = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock, within `timeout` seconds."""
        until = NEVER if timeout < 0 else self._scheduler.now + round(timeout * 1000)
        while blocking and self._is_taken and self._scheduler.now < until:
            self._scheduler.pause(earliest=0, latest=until, is_blocked=lambda: self._is_taken)
        if self._is_taken:
            return False
        self._is_taken = True
        return True

    def release(self) -> None:
        """Release the lock."""
        self._is_taken = False

    def as_lock(self) -> threading.Lock:
        """Return this object under the type that it replaces."""
        return cast("threading.Lock", self)


def _never() -> bool:
    return False
