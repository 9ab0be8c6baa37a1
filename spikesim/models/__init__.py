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
from spikesim.models.mlp import conv_ann, mlp, spiking_mlp
from spikesim.models.mobilenet import mobilenet_v2
from spikesim.models.plif import plif_cifar10dvs, plif_gesture, plif_net, plif_nmnist
from spikesim.models.residual_snn import ms_resnet, sew_resnet
from spikesim.models.resnet import resnet
from spikesim.models.shd import shd_delays, shd_recurrent
from spikesim.models.spikformer import spikformer
from spikesim.models.spiking_vgg import spiking_vgg, vggsnn
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
    "conv_ann",
    "conv_snn",
    "decoder",
    "digits_cnn",
    "find_factory",
    "mlp",
    "mobilenet_v2",
    "ms_resnet",
    "plif_cifar10dvs",
    "plif_gesture",
    "plif_net",
    "plif_nmnist",
    "resnet",
    "sew_resnet",
    "shd_delays",
    "shd_recurrent",
    "spikformer",
    "spiking_mlp",
    "spiking_vgg",
    "unet",
    "vgg",
    "vgg16",
    "vggsnn",
    "vit",
]
