"""Plots as SVG, drawn with the standard library and numpy alone.

Colours are CSS variables of the page, so that one drawing serves light mode, dark mode and paper. A shape or a word
repeats whatever a colour expresses.
"""
