"""MobileNetV3-Small: searched for phones, with squeeze-and-excitation and hard swish."""

from tledge.train.backbone import Backbone
from tledge.train.preprocessing_layers import scale_to_plus_minus_one

BACKBONE = Backbone(
    application="MobileNetV3Small",
    preprocess=scale_to_plus_minus_one,
    minimum_image_size=32,
    default_image_size=224,
    full_learning_rate=3e-3,
    stages=(
        "conv",
        "expanded_conv_depthwise_pad",
        "expanded_conv_1_expand",
        "expanded_conv_3_expand",
        "expanded_conv_8_expand",
    ),
    widths=(0.75, 1.0),
    options={"include_preprocessing": False},  # ours is in the graph before it
    reference="Howard et al. 2019, arXiv 1905.02244",
)
