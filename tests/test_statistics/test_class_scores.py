import json

import numpy as np
import pytest

from mmcovid.statistics.class_scores import (
    check_abstain_below,
    is_decided,
    read_temperature,
)


def test_the_threshold_itself_decides():
    scores = np.array([[0.5, 0.3, 0.2], [0.2, 0.1, 0.7]])
    assert is_decided(scores, 0.5).tolist() == [True, True]
    assert is_decided(scores, 0.6).tolist() == [False, True]
    assert is_decided(scores, None).tolist() == [True, True]
    assert bool(is_decided(scores[1], 0.6)) and not is_decided(scores[0], 0.6)
    for threshold in (0, -1, 1.01, float('nan')):
        with pytest.raises(ValueError, match='abstain below'):
            check_abstain_below(threshold)
    check_abstain_below(None)
    check_abstain_below(1)


def test_temperature_is_a_number_or_the_only_one_of_a_file(tmp_path):
    path = tmp_path / 'temperature.json'
    path.write_text(json.dumps(dict(lstm2=[dict(temperature=1.4, file='val.pkl')])))
    assert read_temperature(path) == read_temperature('1.4') == read_temperature(1.4) == 1.4
    path.write_text(json.dumps(dict(lstm2=[dict(temperature=1.0, note='no temperature fits')])))
    with pytest.warns(UserWarning, match='temperature.json: no temperature fits'):
        assert read_temperature(path) == 1
    path.write_text(json.dumps(dict(lstm2=[dict(temperature=1.4)], attn=[dict(temperature=5.9)])))
    with pytest.raises(ValueError, match=r'2 temperatures \(lstm2 1.4, attn 5.9\)'):
        read_temperature(path)
    for text in ('{"lstm2": 3}', 'no JSON', '[1]', '{"lstm2": [{}]}'):
        path.write_text(text)
        with pytest.raises(ValueError, match='temperature.json: is no temperature.json'):
            read_temperature(path)
    for value in ('0', '-1', 'nan', 'inf', str(tmp_path / 'absent.json')):
        with pytest.raises(ValueError, match='temperature'):
            read_temperature(value)
