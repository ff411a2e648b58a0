import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from mmcovid.utils.files import write_json


def test_tensors_arrays_and_undefined_figures(tmp_path):
    path = tmp_path / 'new' / 'results.json'
    write_json({'a': torch.tensor([1, 2]), 'b': np.float32(0.5), 'c': (math.nan, math.inf),
                'd': Path('x'), 5: np.arange(2)}, path)
    assert json.loads(path.read_text()) == {
        'a': [1, 2], 'b': 0.5, 'c': [None, None], 'd': 'x', '5': [0, 1]}


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path):
    path = tmp_path / 'results.json'
    write_json({'a': 1}, path)
    with pytest.raises(TypeError):
        write_json({'a': object()}, path)
    assert json.loads(path.read_text()) == {'a': 1}
    assert list(tmp_path.iterdir()) == [path]
