"""VGG19: sixteen plain 3 x 3 convolutions."""

from dataclasses import replace

from tledge.train.backbones import vgg16

BACKBONE = replace(vgg16.BACKBONE, application="VGG19")
