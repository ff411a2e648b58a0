"""Dumped predictions that look like those of a model, with slices that cluster by patient."""

import csv
import pickle

import numpy as np
import pycocotools.mask as mask_utils
import torch
from scipy.special import log_expit, softmax

CLASSES = ('normal', 'cp', 'covid19')
LESION_CLASSES = ('lung', 'ggo', 'consolidation')
SIZE = 48


def simulate(patients=30, slices=8, skill=2.0, patient_sd=1.0, sharpness=1.0, seed=0, model=0):
    """Class-labelled slices: every patient has an effect that all its slices share.

    The truth follows from ``seed``; the predictions also from ``model``.
    """
    rng = np.random.default_rng([seed, model])
    truth = np.arange(patients) % 3
    entries = []
    for patient, label in enumerate(truth):
        effect = rng.normal(0, patient_sd, 3)
        for i in range(slices):
            logits = skill * (np.eye(3)[label] - 0.5) + effect + rng.normal(0, 1, 3)
            logits = (sharpness * logits).astype(np.float32)
            scores = softmax(log_expit(logits))
            name = f'{label}_p{patient}_s{patient}_{i}.png'
            entries.append(
                dict(
                    task='cls',
                    img_id=name,
                    img_path=f'images/{name}',
                    patient_id=f'p{patient}',
                    scan_id=f's{patient}-{i % 2}',
                    gt_label=np.array([label]),
                    pred_label=np.array([logits.argmax()]),
                    pred_logits=logits,
                    pred_score=scores,
                    image_classes=CLASSES,
                    lesion_classes=LESION_CLASSES,
                )
            )
    return entries


def box_mask(x, y, width, height):
    """Mask of a box as a run-length encoding."""
    mask = np.zeros((SIZE, SIZE), np.uint8, order='F')
    mask[max(y, 0) : y + height, max(x, 0) : x + width] = 1
    return mask_utils.encode(mask)


def simulate_lesions(patients=8, slices=3, jitter=2, seed=0, model=0):
    """Slices with true lesions and predictions beside them; some missed, some made up."""
    rng = np.random.default_rng([seed, model, 7])
    truths = np.random.default_rng([seed, 8])
    entries = []
    for img_id in range(patients * slices):
        instances, found = [], []
        for label in truths.integers(0, 3, truths.integers(1, 5)):
            x, y, w, h = truths.integers((0, 0, 8, 8), (30, 30, 18, 18)).tolist()
            instances.append(
                dict(
                    bbox=[x, y, x + w, y + h],
                    bbox_label=int(label),
                    ignore_flag=0,
                    mask=box_mask(x, y, w, h),
                )
            )
            if rng.random() < 0.8:
                dx, dy = rng.integers(-jitter, jitter + 1, 2)
                found.append((int(label), rng.uniform(0.2, 1), box_mask(x + dx, y + dy, w, h)))
        for _ in range(rng.integers(0, 3)):
            x, y = rng.integers(0, 30, 2)
            found.append((int(rng.integers(0, 3)), rng.uniform(0, 0.7), box_mask(x, y, 10, 9)))
        entries.append(
            dict(
                task='seg',
                img_id=img_id,
                img_path=f'{img_id}.png',
                ori_shape=(SIZE, SIZE),
                patient_id=f'q{img_id // slices}',
                instances=instances,
                pred_label=torch.tensor([0]),
                pred_score=torch.tensor([0.4, 0.3, 0.3]),
                pred_instances=dict(
                    labels=torch.tensor([label for label, *_ in found], dtype=torch.long),
                    scores=torch.tensor([score for _, score, _ in found], dtype=torch.float32),
                    bboxes=torch.zeros(len(found), 4),
                    masks=[mask for *_, mask in found],
                ),
                image_classes=CLASSES,
                lesion_classes=LESION_CLASSES,
            )
        )
    return entries


def write_dump(path, entries):
    """Write entries as mmcovid test does; returns the path."""
    path.write_bytes(pickle.dumps(entries))
    return path


def write_table(path, entries):
    """The class scores of dumped slices as a table of another model."""
    names = ('covid19', 'normal', 'cp')  # not in the usual order
    labels = {name: CLASSES.index(name) for name in names}
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, ['img_id', 'patient_id', 'class', *names])
        writer.writeheader()
        for entry in entries:
            scores = {name: float(entry['pred_score'][label]) for name, label in labels.items()}
            truth = CLASSES[int(entry['gt_label'])]
            own = {key: entry[key] for key in ('img_id', 'patient_id')}
            writer.writerow({**own, 'class': truth, **scores})
    return path
