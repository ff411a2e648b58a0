from types import SimpleNamespace

import numpy as np
from ct_utils import chest, write_series
from mmcv import imwrite
from mmdet.structures import DetDataSample
from mmengine.visualization import Visualizer

from mmcovid.ct import apply_window
from mmcovid.registry import HOOKS


def test_slices_of_the_same_name_get_pictures_of_their_own(tmp_path, monkeypatch):
    drawn = []
    visualizer = SimpleNamespace(
        add_datasample=lambda *args, out_file, **kwargs: drawn.append(out_file)
    )
    monkeypatch.setattr(Visualizer, 'get_current_instance', lambda: visualizer)
    samples = []
    for task, patient in (('seg', 'a'), ('seg', 'b'), ('cls', 'a')):
        path = str(tmp_path / task / patient / '0.png')
        imwrite(np.zeros((4, 4), np.uint8), path)
        samples.append(DetDataSample(metainfo=dict(img_path=path, task=task, patient_id=patient)))
    hook = HOOKS.build(
        dict(type='mmcovid.SliceVisualizationHook', draw=True, test_out_dir=str(tmp_path / 'out'))
    )
    runner = SimpleNamespace(work_dir=str(tmp_path), timestamp='now')

    for index in range(2):  # the second batch goes to the same folders
        hook.after_test_iter(runner, index, {}, samples)

    expected = [f'{tmp_path}/out/{name}/0.png' for name in ('seg/a', 'seg/b', 'cls/a')]
    assert drawn == expected * 2


def test_slices_of_volumes_are_drawn(tmp_path, monkeypatch):
    hu = chest(2)
    path = f'{write_series(tmp_path / "scan", hu)}#001'
    drawn = []
    visualizer = SimpleNamespace(
        add_datasample=lambda name, image, out_file=None, **kwargs: drawn.append((image, out_file))
    )
    monkeypatch.setattr(Visualizer, 'get_current_instance', lambda: visualizer)
    sample = DetDataSample(
        metainfo=dict(img_path=path, task='scan', patient_id='scan', window=(40, 400))
    )
    hook = HOOKS.build(dict(type='mmcovid.SliceVisualizationHook', draw=True, test_out_dir='out'))
    runner = SimpleNamespace(work_dir=str(tmp_path), timestamp='now', iter=0)

    hook.after_val_iter(runner, 0, {}, [sample])
    hook.after_test_iter(runner, 0, {}, [sample])

    ((image, out_file),) = drawn
    assert (image == apply_window(hu[1], 40, 400)).all()
    assert out_file == f'{tmp_path}/now/out/scan/scan/scan_001.dcm.png'
