"""One module per command; each holds ``run``, a function with Typer's annotations."""
