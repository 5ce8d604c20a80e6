"""A comparison with the Keras model whose figures a test chooses."""

from tledge.export.keras_parity import Parity


def make_parity(*, images: int, drop: float = 0.0, decibels: float | None = 40.0) -> Parity:
    """A parity on ``images`` photos that loses ``drop`` points of a top-1 of 0.9."""
    return Parity(
        split="validation",
        images=images,
        agreement=0.5,
        agreement_interval=(0.4, 0.6),
        largest_difference=0.1,
        signal_to_noise=decibels,
        top1=0.9 - drop / 100,
        keras_top1=0.9,
        recall_change={},
    )
