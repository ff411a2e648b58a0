from types import SimpleNamespace

import numpy as np
from mmcv import imwrite
from mmdet.structures import DetDataSample
from mmengine.visualization import Visualizer

from mmcovid.registry import HOOKS


def test_slices_of_the_same_name_get_pictures_of_their_own(tmp_path, monkeypatch):
    drawn = []
    visualizer = SimpleNamespace(
        add_datasample=lambda *args, out_file, **kwargs: drawn.append(out_file))
    monkeypatch.setattr(Visualizer, 'get_current_instance', lambda: visualizer)
    samples = []
    for task, patient in (('seg', 'a'), ('seg', 'b'), ('cls', 'a')):
        path = str(tmp_path / task / patient / '0.png')
        imwrite(np.zeros((4, 4), np.uint8), path)
        samples.append(DetDataSample(
            metainfo=dict(img_path=path, task=task, patient_id=patient)))
    hook = HOOKS.build(dict(
        type='mmcovid.SliceVisualizationHook', draw=True, test_out_dir=str(tmp_path / 'out')))
    runner = SimpleNamespace(work_dir=str(tmp_path), timestamp='now')

    for index in range(2):  # the second batch goes to the same folders
        hook.after_test_iter(runner, index, {}, samples)

    expected = [f'{tmp_path}/out/{name}/0.png' for name in ('seg/a', 'seg/b', 'cls/a')]
    assert drawn == expected * 2
