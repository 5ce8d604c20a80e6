"""Texts from outside, such as paths, as words of a command that a user copies from the terminal into a shell."""

from __future__ import annotations

import shlex

from tledge.core.terminal_text import escape_hidden, printable_text


def shell_word(text: str) -> str:
    r"""Returns a text as one word of a shell's command, printable.

    A text with control characters is written as ``$'\x1b'``, which bash, ksh and zsh read, and POSIX since 2024.
    """
    if printable_text(text) == text:
        return shlex.quote(text)
    literal = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{escape_hidden(literal, _bytes)}'"


def _bytes(character: str) -> str:
    # Surrogates stand for bytes of file names that are not UTF-8; others are in no file name.
    known = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(rf"\x{byte:02x}" for byte in character.encode("utf-8", known))
