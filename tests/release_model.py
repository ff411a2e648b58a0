"""The released network in plain PyTorch, one slice at a time, on weights under the release's names.

Written from the description of the method and with nothing of MMDetection or mmcovid, so that
a converted checkpoint can be compared with it as a whole.
"""

import math

import torch
import torch.nn.functional as F

STRIDE = 32
SIZES, RATIOS = (2, 4, 8, 16, 32), (0.1, 0.25, 0.5, 1, 1.5, 2)


@torch.no_grad()
def predict(weights, image):
    """Boxes of the RoI sequence, (16, 4), and image logits, (3,), of a slice (3, H, W)."""
    net = Network(weights)
    features = net.features(standardize(image))
    boxes = net.roi_sequence(features, net.proposals(features))
    return boxes, net.classify(net.mask_features(features, boxes))


def image_loss(weights, image, label):
    """Loss of the class, 0 to 2, of a slice (3, H, W)."""
    net = Network(weights)
    features = net.features(standardize(image))
    with torch.no_grad():
        boxes = net.roi_sequence(features, net.proposals(features))
    logits = net.classify(net.mask_features(features, boxes))
    return F.binary_cross_entropy_with_logits(logits, F.one_hot(torch.tensor(label), 3).float())


def detection_losses(weights, image, true_boxes, true_labels, true_masks):
    """Losses of a slice (3, H, W) with G objects, if all anchors and all proposals are sampled.

    Boxes are (G, 4) in pixels, labels (G,) 1 lung, 2 GGO, 3 consolidation, masks (G, H, W).
    """
    net = Network(weights)
    features = net.features(standardize(image))
    logits, deltas, anchors = net.region_proposals(features)

    overlaps = iou(true_boxes, anchors)
    best, own = overlaps.max(0)
    positive = (best >= 0.7) | (overlaps == overlaps.amax(1, keepdim=True)).any(0)
    used = positive | (best < 0.3)
    losses = dict(rpn_cls=F.binary_cross_entropy_with_logits(logits[used], positive[used].float()))
    targets = encode(anchors[positive], true_boxes[own[positive]])
    losses['rpn_bbox'] = (deltas[positive] - targets).abs().sum() / used.sum()

    with torch.no_grad():
        proposals = torch.cat([net.proposals(features), true_boxes])
    best, own = iou(true_boxes, proposals).max(0)
    positive = best >= 0.75
    used = positive | (best < 0.5)
    labels = torch.where(positive, true_labels[own], 0)
    scores, deltas = net.box_head(features, proposals, '')
    losses['cls'] = F.cross_entropy(scores[used], labels[used])
    boxes, own, labels = proposals[positive], own[positive], labels[positive]
    found = deltas[positive].gather(1, labels.view(-1, 1, 1).expand(-1, -1, 4))[:, 0]
    targets = encode(boxes, true_boxes[own], (10, 10, 5, 5))
    losses['bbox'] = F.smooth_l1_loss(found, targets, reduction='sum') / used.sum()

    found = net.mask_logits(features, boxes)[torch.arange(len(boxes)), labels]
    targets = torch.stack(
        [
            roi_align(true_masks[i][None].float(), box[None], 28, 1, samples=None)[0, 0]
            for i, box in zip(own, boxes)
        ]
    )
    losses['mask'] = F.binary_cross_entropy_with_logits(found, targets)
    return losses


def standardize(image):
    image = (image - image.mean((1, 2), keepdim=True)) / image.std((1, 2), keepdim=True)
    return image[None]


class Network:
    def __init__(self, weights):
        self.weights = weights

    def conv(self, name, x, **kwargs):
        return F.conv2d(
            x, self.weights[f'{name}.weight'], self.weights.get(f'{name}.bias'), **kwargs
        )

    def deconv(self, name, x):
        return F.conv_transpose2d(
            x, self.weights[f'{name}.weight'], self.weights[f'{name}.bias'], stride=2
        )

    def linear(self, name, x):
        return F.linear(x, self.weights[f'{name}.weight'], self.weights[f'{name}.bias'])

    def norm(self, name, x):
        """By the statistics of what is given, in testing too."""
        return F.batch_norm(
            x,
            None,
            None,
            self.weights[f'{name}.weight'],
            self.weights[f'{name}.bias'],
            training=True,
        )

    def features(self, x):
        x = self.norm('backbone.body.bn1', self.conv('backbone.body.conv1', x, stride=2, padding=3))
        x = F.max_pool2d(x.relu(), 3, stride=2, padding=1)
        for stage in range(1, 5):
            block = 0
            while f'backbone.body.layer{stage}.{block}.conv1.weight' in self.weights:
                stride = 2 if stage > 1 and block == 0 else 1
                x = self.block(f'backbone.body.layer{stage}.{block}', x, stride)
                block += 1
        x = self.conv('backbone.fpn.inner_blocks.0', x)
        return self.conv('backbone.fpn.layer_blocks.0', x, padding=1)

    def block(self, name, x, stride):
        deep = f'{name}.conv3.weight' in self.weights
        out = self.conv(f'{name}.conv1', x, **(dict() if deep else dict(stride=stride, padding=1)))
        out = self.norm(f'{name}.bn1', out).relu()
        groups = out.shape[1] // self.weights[f'{name}.conv2.weight'].shape[1]
        out = self.conv(
            f'{name}.conv2', out, stride=stride if deep else 1, padding=1, groups=groups
        )
        out = self.norm(f'{name}.bn2', out)
        if deep:
            out = self.norm(f'{name}.bn3', self.conv(f'{name}.conv3', out.relu()))
        if f'{name}.downsample.0.weight' in self.weights:
            x = self.norm(
                f'{name}.downsample.1', self.conv(f'{name}.downsample.0', x, stride=stride)
            )
        return (out + x).relu()

    def region_proposals(self, features):
        """Logits (n,) and deltas (n, 4) of all anchors (n, 4)."""
        x = self.conv('rpn.head.conv', features, padding=1).relu()
        logits = self.conv('rpn.head.cls_logits', x)[0].permute(1, 2, 0).flatten()
        deltas = self.conv('rpn.head.bbox_pred', x)[0].permute(1, 2, 0).reshape(-1, 4)
        anchors = torch.cat(
            [
                base_anchors() + torch.tensor([column, row, column, row]) * STRIDE
                for row in range(features.shape[2])
                for column in range(features.shape[3])
            ]
        )
        return logits, deltas, anchors

    def proposals(self, features):
        logits, deltas, anchors = self.region_proposals(features)
        best = logits.topk(400).indices
        boxes = decode(anchors[best], deltas[best]).clamp(0, features.shape[-1] * STRIDE)
        return boxes[nms(boxes, logits[best].sigmoid(), 0.75)][:200]

    def box_head(self, features, boxes, branch):
        """Class logits (n, 4), background first, and deltas (n, 4, 4)."""
        x = roi_align(features[0], boxes, 7).flatten(1)
        x = self.linear(f'roi_heads.box_head{branch}.fc6', x).relu()
        x = self.linear(f'roi_heads.box_head{branch}.fc7', x).relu()
        scores = self.linear(f'roi_heads.box_predictor{branch}.cls_score', x)
        return scores, self.linear(f'roi_heads.box_predictor{branch}.bbox_pred', x).view(-1, 4, 4)

    def roi_sequence(self, features, proposals):
        size = features.shape[-1] * STRIDE
        scores, deltas = self.box_head(features, proposals, '_s2')
        scores = scores.softmax(1)
        boxes, best = [], []
        for label in (1, 2, 3):  # 0 is the background
            found = decode(proposals, deltas[:, label], (10, 10, 5, 5)).clamp(0, size)
            found_scores = scores[:, label]
            large = (found[:, 2:] - found[:, :2]).prod(1) > 1e-5
            found, found_scores = found[large], found_scores[large]
            kept = nms(found, found_scores, 0.25)
            boxes.append(found[kept])
            best.append(found_scores[kept])
        boxes = torch.cat(boxes)[torch.cat(best).argsort(descending=True, stable=True)[:16]]
        return boxes[boxes[:, :2].norm(dim=1).argsort(stable=True)]

    def mask_logits(self, features, boxes):
        x = self.conv(
            'roi_heads.mask_head.mask_fcn1', roi_align(features[0], boxes, 14), padding=1
        ).relu()
        x = self.deconv('roi_heads.mask_predictor.conv_mask', x).relu()
        return self.conv('roi_heads.mask_predictor.mask_fcn_logits', x)

    def mask_features(self, features, boxes):
        x = self.conv(
            'roi_heads.mask_head_s2.mask_fcn1', roi_align(features[0], boxes, 14), padding=1
        ).relu()
        x = self.deconv('roi_heads.mask_predictor_s2.conv_mask', x)
        return self.conv('roi_heads.mask_predictor_s2.conv_reduce', x, padding=1).relu()

    def classify(self, x):
        x = self.conv('attn_layer.sieve.0.conv_down', x, stride=2)
        x = self.deconv('attn_layer.sieve.0.conv_up', self.norm('attn_layer.sieve.0.bn', x).relu())
        for conv, norm, stride in (
            ('conv_d1', 'bn1', 2),
            ('conv_d2', 'bn2', 2),
            ('conv_d_final', 'bn3', 1),
        ):
            x = self.conv(f'attn_layer.{conv}', x, stride=stride).relu()
            x = self.norm(f'attn_layer.{norm}', x)
        logits = [self.branch(x.flatten(1), sign) for sign in ('pos', 'neg')]
        return logits[0] - logits[1]

    def branch(self, x, sign):
        history = self.lstm(f'attn_layer.lstm_{sign}', x)
        v = self.linear(f'attn_layer.final_linear_{sign}', history[-1])
        p = (history @ v).softmax(0) @ history + v
        p = self.linear(f'{sign}_classifier_attn.fc_l1', p).relu()
        p = self.linear(f'{sign}_classifier_attn.fc_l2', p).relu()
        return self.linear(f'{sign}_classifier_attn.class_predict_logits', p)

    def lstm(self, name, sequence):
        w = {
            key: self.weights[f'{name}.{key}_l0']
            for key in ('weight_ih', 'weight_hh', 'bias_ih', 'bias_hh')
        }
        h = c = sequence.new_zeros(sequence.shape[1])
        history = []
        for x in sequence:
            gates = w['weight_ih'] @ x + w['bias_ih'] + w['weight_hh'] @ h + w['bias_hh']
            i, f, g, o = gates.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            history.append(h)
        return torch.stack(history)


def base_anchors():
    """(30, 4), ratio after ratio, each in all sizes; ratios are height to width."""
    anchors = []
    for ratio in RATIOS:
        for size in SIZES:
            w, h = size / math.sqrt(ratio), size * math.sqrt(ratio)
            anchors.append([-w / 2, -h / 2, w / 2, h / 2])
    return torch.tensor(anchors).round()


def decode(boxes, deltas, weights=(1, 1, 1, 1)):
    dx, dy, dw, dh = (deltas / torch.tensor(weights)).unbind(1)
    x1, y1, x2, y2 = boxes.unbind(1)
    w, h = x2 - x1, y2 - y1
    x, y = x1 + w / 2 + dx * w, y1 + h / 2 + dy * h
    limit = math.log(1000 / 16)
    w, h = w * dw.clamp(max=limit).exp(), h * dh.clamp(max=limit).exp()
    return torch.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)


def encode(boxes, true_boxes, weights=(1, 1, 1, 1)):
    """Deltas that :func:`decode` turns into the true boxes."""
    size, true_size = boxes[:, 2:] - boxes[:, :2], true_boxes[:, 2:] - true_boxes[:, :2]
    shift = (true_boxes[:, :2] + true_boxes[:, 2:] - boxes[:, :2] - boxes[:, 2:]) / 2 / size
    return torch.cat([shift, (true_size / size).log()], 1) * torch.tensor(weights)


def iou(boxes, others):
    """(n, m); nan where both are empty."""
    corner = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    opposite = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    inter = (opposite - corner).clamp(min=0).prod(2)
    areas = [(each[:, 2:] - each[:, :2]).prod(1) for each in (boxes, others)]
    return inter / (areas[0][:, None] + areas[1][None] - inter)


def nms(boxes, scores, threshold):
    """Indices of the boxes that are kept, best first."""
    order = scores.argsort(descending=True, stable=True)
    overlap = iou(boxes[order], boxes[order]) > threshold  # empty boxes: nan, kept
    alive = torch.ones(len(boxes), dtype=torch.bool)
    for i in range(len(boxes)):
        if alive[i]:
            alive[i + 1 :] &= ~overlap[i, i + 1 :]
    return order[alive]


def roi_align(features, boxes, size, stride=STRIDE, samples=2):
    """RoIAlign without the half-pixel shift, ``samples``² in each of size × size bins.

    Without a number, as many samples as a bin has pixels, which is for one box only.
    """
    boxes = boxes / stride
    extent = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1)
    counts = [samples or math.ceil(extent[0, axis] / size) for axis in (0, 1)]
    xs, ys = (
        boxes[:, axis, None]
        + extent[:, axis, None] * (torch.arange(count * size) + 0.5) / (count * size)
        for axis, count in enumerate(counts)
    )
    column, row = interpolation(xs, features.shape[2]), interpolation(ys, features.shape[1])
    values = torch.einsum('niy,cyx,njx->ncij', row, features, column)
    return F.avg_pool2d(values, counts[::-1])


def interpolation(places, size):
    """Weights (n, m, size) of linear interpolation at ``places`` (n, m); nothing is outside."""
    inside = (places >= -1) & (places <= size)
    places = places.clamp(0, size - 1)
    low = places.floor().long().clamp(max=size - 1)
    high = (low + 1).clamp(max=size - 1)
    part = places - low
    matrix = F.one_hot(low, size) * (1 - part)[..., None] + F.one_hot(high, size) * part[..., None]
    return matrix * inside[..., None]
