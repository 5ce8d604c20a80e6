"""VGG16: thirteen plain 3 x 3 convolutions."""

from tledge.train.backbone import Backbone, subtract_mean_bgr

BACKBONE = Backbone(
    application="VGG16",
    preprocess=subtract_mean_bgr,
    full_learning_rate=3e-4,  # without batch norms, it stays at chance at ten times that
    stages=("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1"),
    reference="Simonyan and Zisserman 2014, arXiv 1409.1556",
)
