"""Benchmarking on another machine over OpenSSH: a Raspberry Pi on the desk.

``connection`` runs commands there, ``wheel`` packs the tledge that is installed here, ``remote_folder`` copies it there
with the model files and the photos, and ``remote_rounds`` runs the rounds. ``remote_receiver``, ``remote_targets`` and
``remote_worker`` run on that machine.
"""
