"""ResNet101: ResNet50, twice as deep."""

from dataclasses import replace

from tledge.train.backbones import resnet50

BACKBONE = replace(resnet50.BACKBONE, application="ResNet101")
