"""The entry point of ``tledge``: signals and closed outputs are taken care of before any slow import."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """The entry point of the installed command."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the next import is done, whose traceback nobody needs
    from tledge.cli.ending_signals import end_at_once, end_by_default

    end_at_once()
    from tledge.cli.output_streams import open_standard_streams
    from tledge.core import word_size

    open_standard_streams()
    if complaint := word_size.word_size_problem():
        sys.exit(f"tledge: {complaint}")
    try:
        from tledge.cli.app import app

        app()
    except SystemExit as end:
        end.code = _final_code(end.code)
        end_by_default()
        _discard_output()
        raise


def _final_code(code: str | int | None) -> str | int | None:
    """Returns the exit code; that of a lost output if all else went well."""
    from tledge.cli.output_streams import CLOSED_PIPE, failure_of

    sys.stdout.flush()
    lost = failure_of(sys.stdout)
    if lost is None or code:
        return code
    if isinstance(lost, BrokenPipeError):
        return CLOSED_PIPE
    print(f"tledge: cannot write the output: {lost.strerror}", file=sys.stderr)
    return 1


def _discard_output() -> None:
    """Discards what libraries write while the process ends; TensorFlow logs its shutdown."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # too many open files
        return
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.flush()
        os.dup2(nowhere, number)
    os.close(nowhere)
