from attention_utils import make_report

from mmcovid.analysis.attention.plots import draw_all
from mmcovid.classes import DEFAULT


def test_plots_have_display_names():
    plots = draw_all(make_report().sets, DEFAULT)
    assert list(plots) == ['lesion_classes', 'regions', 'order', 'deletion_cls']
    axes = plots['lesion_classes'].axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == [
        'Lung',
        'GGO',
        'Consolidation',
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        'all slices',
        'true Normal',
        'true Pneumonia (CP)',
        'true COVID-19',
    ]
    assert len(plots['regions'].axes) == 1  # of the set in which lungs were found
