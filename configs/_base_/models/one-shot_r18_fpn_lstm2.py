# The one-shot model of the paper: ResNet-18, FPN with one level, LSTM-2.
model = dict(
    type='mmcovid.OneShotRCNN',
    update_policy='alternate',
    sync_policy='improved',
    data_preprocessor=dict(
        type='MultiBranchDataPreprocessor',
        data_preprocessor=dict(
            type='mmcovid.SliceDataPreprocessor', pad_mask=True, pad_size_divisor=32
        ),
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=4,
        out_indices=(3,),
        frozen_stages=-1,
        norm_cfg=dict(type='mmcovid.PerImageBatchNorm2d', requires_grad=True),
        norm_eval=False,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18'),
    ),
    neck=dict(
        type='FPN',
        in_channels=[512],
        out_channels=256,
        num_outs=1,
        init_cfg=dict(type='Caffe2Xavier', layer='Conv2d'),
    ),
    rpn_head=dict(
        type='mmcovid.LogitRankedRPNHead',
        in_channels=256,
        feat_channels=256,
        anchor_generator=dict(
            type='mmcovid.RoundedAnchorGenerator',
            base_sizes=[2],
            scales=[1, 2, 4, 8, 16],
            ratios=[0.1, 0.25, 0.5, 1.0, 1.5, 2.0],
            strides=[32],
        ),
        bbox_coder=dict(type='mmcovid.GrowthLimitedBBoxCoder'),
        loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss'),
    ),
    roi_head=dict(
        type='mmcovid.OneShotRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=7, sampling_ratio=2, aligned=False),
            out_channels=256,
            featmap_strides=[32],
        ),
        bbox_head=dict(
            type='Shared2FCBBoxHead',
            in_channels=256,
            fc_out_channels=128,
            roi_feat_size=7,
            num_classes=3,
            reg_class_agnostic=False,
            reg_predictor_cfg=dict(type='mmcovid.LinearWithBackground'),
            bbox_coder=dict(
                type='mmcovid.GrowthLimitedBBoxCoder', target_stds=[0.1, 0.1, 0.2, 0.2]
            ),
            loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0),
            init_cfg=[],
        ),  # PyTorch's own weights
        mask_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=2, aligned=False),
            out_channels=256,
            featmap_strides=[32],
        ),
        mask_head=dict(
            type='mmcovid.OneShotMaskHead',
            num_convs=1,
            in_channels=256,
            conv_out_channels=256,
            num_classes=3,
            predictor_cfg=dict(type='mmcovid.ConvWithBackground'),
            loss_mask=dict(type='CrossEntropyLoss', use_mask=True),
        ),
        roi_sequence=dict(num_rois=16, iou_threshold=0.25, order='distance'),
    ),
    attention_head=dict(
        type='mmcovid.LSTMAttentionHead', num_branches=2, lstm_channels=256, num_refinements=1
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='mmcovid.OwnBestMaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=1e-6,  # every object keeps its best anchors
                match_low_quality=True,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.75,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
            debug=False,
        ),
        rpn_proposal=dict(
            nms_pre=400, max_per_img=200, nms=dict(type='nms', iou_threshold=0.75), min_bbox_size=-1
        ),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.75,
                neg_iou_thr=0.5,  # boxes in between are ignored
                min_pos_iou=0.75,
                match_low_quality=False,
                ignore_iof_thr=-1,
            ),
            sampler=dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            mask_size=28,
            pos_weight=-1,
            debug=False,
        ),
    ),
    test_cfg=dict(
        detect_cls_slices=False,
        rpn=dict(
            nms_pre=400, max_per_img=200, nms=dict(type='nms', iou_threshold=0.75), min_bbox_size=-1
        ),
        rcnn=dict(
            score_thr=0.05,
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=128,
            mask_thr_binary=0.5,
        ),
    ),
)

# each step leaves out some heads: MMEngine's own wrapper does one step only
model_wrapper_cfg = dict(type='mmcovid.OneShotDistributedDataParallel')
