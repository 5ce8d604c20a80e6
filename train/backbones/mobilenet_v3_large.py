"""MobileNetV3-Large: searched for phones, with squeeze-and-excitation and hard swish."""

from tledge.train.backbone import Backbone, scale_to_plus_minus_one

BACKBONE = Backbone(
    application="MobileNetV3Large",
    preprocess=scale_to_plus_minus_one,
    full_learning_rate=3e-3,
    stages=(
        "conv",
        "expanded_conv_1_expand",
        "expanded_conv_3_expand",
        "expanded_conv_6_expand",
        "expanded_conv_12_expand",
    ),
    widths=(0.75, 1.0),
    options={"include_preprocessing": False},  # ours is in the graph before it
    reference="Howard et al. 2019, arXiv 1905.02244",
)
