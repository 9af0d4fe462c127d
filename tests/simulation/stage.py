"""The stage of a simulation: a clock that nobody else moves, processes, and their threads, of which one at a time is on.

A thread of the relay becomes a `Task`: a real thread that runs only while it holds the baton, and hands it back wherever it could
be held up in reality: before a call of Redis, while IEM is asked, while it waits. Between two such moments nothing else happens,
so that the same decisions always lead to the same run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from typing import cast

from relay.clock import Clock

#: When it all begins (Unix ms).
START = 1_790_000_000_000
#: Nothing waits for so long (ms).
NEVER = START * 2


class Crash(BaseException):
    """The process died here: nothing may catch it."""


class Broken(BaseException):
    """What never may happen did, in the middle of a task: the relay's own handlers must not catch it."""


def expect(holds: object, promise: str) -> None:
    """Break the run off, from within a task too, unless `promise` is kept."""
    if not holds:
        raise Broken(promise)


class Process:
    """A process of the relay: everything that it was at stops with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_dead = False


class Task:
    """A thread of a process. It goes on by `resume`, up to its next `pause` or its end."""

    def __init__(self, stage: Stage, process: Process, name: str, work: Callable[[], object]) -> None:
        self.process = process
        self.name = name
        self.is_done = False
        self.has_begun = False
        self.result: object = None
        self.error: Exception | None = None
        #: While it pauses: between these times (Unix ms) it goes on, and not while `is_held_up`.
        self.earliest, self.latest = 0, NEVER
        self.is_held_up: Callable[[], bool] = _never
        self._stage = stage
        self._work = work
        self._broken: Broken | None = None
        self._on, self._off = threading.Semaphore(0), threading.Semaphore(0)

    def resume(self) -> None:
        """Let it go on until it pauses or ends.

        Raises:
            AssertionError: a promise was broken meanwhile.
        """
        self.earliest, self.latest, self.is_held_up = 0, NEVER, _never
        if not self.has_begun:
            if self.process.is_dead:
                self.is_done = True
                return
            self.has_begun = True
            threading.Thread(target=self._run, name=self.name, daemon=True).start()
        self._stage.on, before = self, self._stage.on
        self._on.release()
        self._off.acquire()
        self._stage.on = before
        if self._broken is not None:
            broken, self._broken = self._broken, None
            raise AssertionError(str(broken)) from broken

    def pause(self, *, earliest: int, latest: int, is_held_up: Callable[[], bool] | None = None) -> None:
        """Hand the baton back, in the task's own thread."""
        if self.process.is_dead:
            raise Crash
        self.earliest, self.latest, self.is_held_up = earliest, latest, is_held_up or _never
        self._off.release()
        self._on.acquire()
        if self.process.is_dead:
            raise Crash

    def _run(self) -> None:
        self._on.acquire()
        try:
            self.result = self._work()
        except Crash:
            pass
        except Exception as error:  # noqa: BLE001 - whoever started it looks at it
            self.error = error
        except Broken as broken:
            self._broken = broken
        self.is_done = True
        self._off.release()


class Stage:
    """The clock and all tasks."""

    def __init__(self) -> None:
        self.now = START
        self.on: Task | None = None
        self.tasks: list[Task] = []
        self.clock = Clock(now_ms=lambda: self.now, monotonic=self.monotonic, wait=self.wait)
        #: What happens by itself: when (Unix ms), in which order, and what.
        self._alarms: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count(1)

    def monotonic(self) -> float:
        """Return seconds since long before the start."""
        return (self.now - START) / 1000 + 1000

    def wait(self, seconds: float) -> None:
        """Let the task that is on wait."""
        until = self.now + max(1, round(seconds * 1000))
        self.pause(earliest=until, latest=until)

    def pause(self, *, earliest: int, latest: int, is_held_up: Callable[[], bool] | None = None) -> None:
        """Let the task that is on pause; outside of tasks nothing is ever held up."""
        if self.on is not None:
            self.on.pause(earliest=earliest, latest=latest, is_held_up=is_held_up)

    def begin(self, process: Process, name: str, work: Callable[[], object]) -> Task:
        """Return a new task, that has not begun."""
        task = Task(self, process, name, work)
        self.tasks.append(task)
        return task

    def at(self, when: int, action: Callable[[], None]) -> None:
        """Have `action` happen at `when` (Unix ms), between two tasks."""
        self._alarms.append((when, next(self._numbers), action))

    def go_on(self, task: Task, steps: int) -> None:
        """Let `task` go on over up to so many pauses; time passes where it takes some."""
        for _ in range(steps):
            self.pass_time_until(task.earliest)
            if task.is_done or (task.is_held_up() and self.now < task.latest):
                break
            if task.earliest <= self.now:
                task.resume()
        self.clear()

    def pass_time_until(self, when: int) -> None:
        """Let time pass; what cannot be held up any longer happens on the way, the earliest first."""
        while True:
            self.clear()
            due = min(self.tasks, key=lambda task: task.latest, default=None)
            alarm = min(self._alarms, default=None)
            if due is not None and due.latest <= min(when, alarm[0] if alarm else NEVER):
                self.now = max(self.now, due.latest)
                due.resume()
            elif alarm is not None and alarm[0] <= when:
                self._alarms.remove(alarm)
                self.now = max(self.now, alarm[0])
                alarm[2]()
            else:
                break
        self.now = max(self.now, when)

    def kill(self, process: Process) -> None:
        """End a process wherever its tasks are."""
        process.is_dead = True
        for task in self.tasks:
            while task.process is process and not task.is_done:
                task.resume()
        self.clear()

    def clear(self) -> None:
        """Forget the tasks that are over; of a process that died in one of them all are."""
        for process in {task.process for task in self.tasks if task.process.is_dead and not task.is_done}:
            self.kill(process)
        self.tasks = [task for task in self.tasks if not task.is_done]


class Latch:
    """A lock as `threading.Lock` has it, of threads that are tasks."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._is_taken = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it, within `timeout` seconds."""
        until = NEVER if timeout < 0 else self._stage.now + round(timeout * 1000)
        while blocking and self._is_taken and self._stage.now < until:
            self._stage.pause(earliest=0, latest=until, is_held_up=lambda: self._is_taken)
        if self._is_taken:
            return False
        self._is_taken = True
        return True

    def release(self) -> None:
        """Let it go."""
        self._is_taken = False

    def as_lock(self) -> threading.Lock:
        """Return it as what it stands in for."""
        return cast("threading.Lock", self)


def _never() -> bool:
    return False
