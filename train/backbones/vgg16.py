"""VGG16: thirteen plain 3 x 3 convolutions."""

from tledge.train.backbone import Backbone
from tledge.train.preprocessing_layers import subtract_mean_bgr

BACKBONE = Backbone(
    application="VGG16",
    preprocess=subtract_mean_bgr,
    minimum_image_size=32,
    default_image_size=224,
    full_learning_rate=3e-4,  # without batch norms, it stays at chance at ten times that
    stages=(
        "block1_conv1",
        "block2_conv1",
        "block3_conv1",
        "block4_conv1",
        "block5_conv1",
    ),
    reference="Simonyan and Zisserman 2014, arXiv 1409.1556",
)
