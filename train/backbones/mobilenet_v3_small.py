"""MobileNetV3-Small: MobileNetV3-Large with fewer and narrower blocks."""

from dataclasses import replace

from tledge.train.backbones import mobilenet_v3_large

BACKBONE = replace(
    mobilenet_v3_large.BACKBONE,
    application="MobileNetV3Small",
    stages=(
        "conv",
        "expanded_conv_depthwise_pad",
        "expanded_conv_1_expand",
        "expanded_conv_3_expand",
        "expanded_conv_8_expand",
    ),
)
