"""One module per command; each holds ``run``, the function that Typer calls."""
