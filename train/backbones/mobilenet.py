"""MobileNet, version 1: depthwise separable convolutions."""

from tledge.train.backbone import Backbone
from tledge.train.preprocessing_layers import scale_to_plus_minus_one

BACKBONE = Backbone(
    application="MobileNet",
    preprocess=scale_to_plus_minus_one,
    minimum_image_size=32,
    default_image_size=224,
    full_learning_rate=3e-3,
    stages=(
        "conv1",
        "conv_pad_2",
        "conv_pad_4",
        "conv_pad_6",
        "conv_pad_12",
    ),
    widths=(0.25, 0.5, 0.75, 1.0),
    reference="Howard et al. 2017, arXiv 1704.04861",
)
