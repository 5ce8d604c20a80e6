"""Benchmarking on another machine that is reached by OpenSSH: a Raspberry Pi on the desk.

``connection`` runs commands there, ``wheel`` makes a wheel of the tledge that is installed here, ``workplace`` brings
it there with the model files and the photos, and ``launching`` runs the rounds. ``receiving``, ``offering`` and
``answering`` run on that machine.
"""
