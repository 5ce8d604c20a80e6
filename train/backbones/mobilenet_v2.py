"""MobileNetV2: inverted residuals and linear bottlenecks, made for phones."""

from tledge.train.backbone import Backbone
from tledge.train.preprocessing import scale_to_plus_minus_one

BACKBONE = Backbone(
    application="MobileNetV2",
    preprocess=scale_to_plus_minus_one,
    minimum_image_size=32,
    default_image_size=224,
    full_learning_rate=3e-3,
    reference="Sandler et al. 2018, arXiv 1801.04381",
)
