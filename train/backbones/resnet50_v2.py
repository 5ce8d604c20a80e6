"""ResNet50V2: residual units with the batch norm first."""

from tledge.train.backbone import Backbone, scale_to_plus_minus_one

BACKBONE = Backbone(
    application="ResNet50V2",
    preprocess=scale_to_plus_minus_one,
    full_learning_rate=1e-3,
    stages=(
        "conv1_conv",
        "conv2_block1_preact_bn",
        "conv3_block1_preact_bn",
        "conv4_block1_preact_bn",
        "conv5_block1_preact_bn",
    ),
    reference="He et al. 2016, arXiv 1603.05027",
)
