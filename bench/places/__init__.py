"""The kinds of places that ``tledge bench --on`` takes, a file each."""
