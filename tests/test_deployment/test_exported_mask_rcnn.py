import pytest
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead

pytest.importorskip('onnxscript')
from mmcovid.deployment.exported_mask_rcnn import mask_logits  # noqa: E402


@pytest.mark.parametrize('predictor', ['Conv', 'mmcovid.ConvWithBackground'])
@pytest.mark.parametrize(
    'upsample', [dict(type='deconv', scale_factor=s) for s in (2, 3)] + [dict(type='bilinear')]
)
def test_mask_logits_are_those_of_the_head(upsample, predictor):
    torch.manual_seed(0)
    head = FCNMaskHead(
        num_convs=1,
        in_channels=5,
        conv_out_channels=6,
        num_classes=4,
        upsample_cfg=dict(dict(scale_factor=2), **upsample),
        predictor_cfg=dict(type=predictor),
        init_cfg=None,
    )
    x = torch.randn(3, 5, 7, 9)
    with torch.no_grad():
        torch.testing.assert_close(mask_logits(head, x), head(x), rtol=1e-5, atol=1e-6)
