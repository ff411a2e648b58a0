import copy

from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmengine.model import BaseModule, kaiming_init
from torch import Tensor, nn

from mmcovid.models.layers import upsample_conv


class ClassificationBranch(BaseModule):
    """Frozen copy of the segmentation branch that finds the RoIs of a slice to classify.

    The box head and the mask head up to its logits layer are copies of the
    segmentation branch's (Sec. III-A of the paper): they are never trained,
    only refreshed by :meth:`sync`. A 3×3 convolution takes the place of the
    logits layer; it has no counterpart to be copied from and keeps its
    initial weights, as in the released implementation.

    Args:
        bbox_head (:obj:`BBoxHead`): Box head of the segmentation branch.
        mask_head (:obj:`FCNMaskHead`): Mask head of the segmentation branch.
    """

    def __init__(self, bbox_head: BBoxHead, mask_head: FCNMaskHead) -> None:
        super().__init__()
        channels = mask_head.conv_out_channels
        self.bbox_head = copy.deepcopy(bbox_head)
        self.convs = copy.deepcopy(mask_head.convs)
        self.upsample = copy.deepcopy(mask_head.upsample)
        self.conv_reduce = nn.Conv2d(channels, channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.requires_grad_(False)

    def init_weights(self) -> None:
        """Initialise the weights."""
        super().init_weights()
        kaiming_init(self.conv_reduce, mode='fan_out', bias=0.01)

    def mask_features(self, x: Tensor) -> Tensor:
        """Mask features of RoIs.

        Args:
            x (Tensor): RoI features (n, C, 14, 14).

        Returns:
            Tensor: Mask features (n, C, 28, 28).
        """
        for conv in self.convs:
            x = conv(x)
        return self.relu(upsample_conv(x, self.upsample, self.conv_reduce))

    def sync(self, bbox_head: BBoxHead, mask_head: FCNMaskHead) -> None:
        """Take a fresh copy of the segmentation branch's weights."""
        self.bbox_head.load_state_dict(bbox_head.state_dict())
        self.convs.load_state_dict(mask_head.convs.state_dict())
        self.upsample.load_state_dict(mask_head.upsample.state_dict())
