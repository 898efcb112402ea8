"""A program that dies, or whose calls of the system fail, at each moment in turn."""

import inspect
import itertools
import os
import sys
import warnings
from unittest import mock

EVENTS = ("open", "os.rename", "os.link", "os.mkdir", "os.truncate", "shutil.")  # as Python's audit names them
_countdown = []  # calls before the one that fails, and the folder that they touch


def deaths(action, *functions):
    """Run ``action`` in children that die, as by a power cut, at the first line of ``functions``, the second, ..."""
    codes = {inspect.unwrap(function).__code__ for function in functions}
    for moment in itertools.count() if hasattr(os, "fork") else ():
        with warnings.catch_warnings(action="ignore"):  # of threads that do not come along
            child = os.fork()
        if child == 0:
            left = moment

            def at_line(frame, event, _):
                nonlocal left
                if event == "line":
                    left -= 1
                    if left < 0:
                        os._exit(1)
                return at_line

            sys.settrace(lambda frame, event, _: at_line if frame.f_code in codes else None)
            try:
                action()
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        yield f"death at line {moment}"
        if os.waitstatus_to_exitcode(status) == 0:
            return


def failures(action, folder):
    """Run ``action`` so that its first call of the system on ``folder`` fails, then the second, ..."""
    if not _countdown:
        sys.addaudithook(_audit)
    fsync = os.fsync
    for moment in itertools.count():
        _countdown[:] = [moment, str(folder), ""]
        try:
            with mock.patch("os.fsync", lambda number: (_count("os.fsync"), fsync(number))):
                action()
        except OSError:
            assert _countdown[2], "the action failed by itself"
        failed, _countdown[:] = _countdown[2], [-1, "", ""]
        yield f"failure of {failed}, call {moment}"
        if not failed:
            return


def _audit(event, arguments):
    if _countdown[0] >= 0 and event.startswith(EVENTS) and str(arguments[0]).startswith(_countdown[1]):
        _count(event)


def _count(event):
    _countdown[0] -= 1
    if _countdown[0] == -1:
        _countdown[2] = event
        raise OSError(28, f"planted: {event} fails")
