"""One benchmark against another: what changed, and whether that breaks a condition."""
