"""Ready networks, one readable file each, and the lookup of a network by its name.

Example:
    >>> from spikesim.models import conv_snn, digits_cnn, find_factory
    >>> find_factory("digits_cnn") is digits_cnn
    True
"""

from spikesim.models.conv_snn import ConvSNN, conv_snn
from spikesim.models.decoder import Decoder, decoder
from spikesim.models.digits_cnn import DigitsCNN, digits_cnn
from spikesim.models.lookup import BUILT_IN, build, find_factory
from spikesim.models.mobilenet import mobilenet_v2
from spikesim.models.resnet import resnet
from spikesim.models.unet import unet
from spikesim.models.vgg import vgg, vgg16
from spikesim.models.vit import VisionTransformer, vit

__all__ = [
    "BUILT_IN",
    "ConvSNN",
    "Decoder",
    "DigitsCNN",
    "VisionTransformer",
    "build",
    "conv_snn",
    "decoder",
    "digits_cnn",
    "find_factory",
    "mobilenet_v2",
    "resnet",
    "unet",
    "vgg",
    "vgg16",
    "vit",
]
