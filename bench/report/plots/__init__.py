"""Plots as SVG, drawn with nothing but the standard library and numpy.

Colours are CSS variables of the page, so that one drawing serves light, dark and paper; whatever a colour says, a
shape or a word says too.
"""
