"""ResNet50: deep residual learning, version 1."""

from tledge.train.backbone import Backbone, subtract_mean_bgr

BACKBONE = Backbone(
    application="ResNet50",
    preprocess=subtract_mean_bgr,
    full_learning_rate=1e-3,
    stages=("conv1_conv", "conv2_block1_1_conv", "conv3_block1_1_conv", "conv4_block1_1_conv", "conv5_block1_1_conv"),
    reference="He et al. 2015, arXiv 1512.03385",
)
