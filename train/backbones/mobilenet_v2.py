"""MobileNetV2: inverted residuals and linear bottlenecks, made for phones."""

from tledge.train.backbone import Backbone, scale_to_plus_minus_one

BACKBONE = Backbone(
    application="MobileNetV2",
    preprocess=scale_to_plus_minus_one,
    full_learning_rate=3e-3,
    stages=("Conv1", "block_1_expand", "block_3_expand", "block_6_expand", "block_13_expand"),
    widths=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    reference="Sandler et al. 2018, arXiv 1801.04381",
)
