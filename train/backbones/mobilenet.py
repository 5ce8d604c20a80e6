"""MobileNet, version 1: depthwise separable convolutions."""

from tledge.train.backbone import Backbone, scale_to_plus_minus_one

BACKBONE = Backbone(
    application="MobileNet",
    preprocess=scale_to_plus_minus_one,
    full_learning_rate=3e-3,
    stages=("conv1", "conv_pad_2", "conv_pad_4", "conv_pad_6", "conv_pad_12"),
    widths=(0.25, 0.5, 0.75, 1.0),
    reference="Howard et al. 2017, arXiv 1704.04861",
)
