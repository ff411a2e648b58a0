"""The config that a checkpoint holds, read as data: nothing of it is run.

MMEngine keeps the config of a training in its checkpoints as a Python program, and runs it to read
it. Here the program is parsed, and must be plain values. Of these only what inference needs is
taken, and only types are built that are known to run nothing: MMEngine takes the name of anything
that can be imported for a type, and MMCV evaluates the type of ``nms``.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import Any, NamedTuple

from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry

from mmcovid.utils.provenance import config_hash

#: Where a type of a part may be from. Not with these: detectors that read the config of a teacher,
#: language models that download theirs, tracking, and models that read files.
MODELS_FROM = (
    'mmcovid.models.',
    'mmcv.cnn.bricks.',
    'mmcv.ops.',
    'mmdet.models.backbones.',
    'mmdet.models.data_preprocessors.',
    'mmdet.models.dense_heads.rpn_head',
    'mmdet.models.detectors.cascade_rcnn',
    'mmdet.models.detectors.faster_rcnn',
    'mmdet.models.detectors.mask_rcnn',
    'mmdet.models.layers.',
    'mmdet.models.losses.',
    'mmdet.models.necks.',
    'mmdet.models.roi_heads.',
    'mmdet.models.task_modules.assigners.',
    'mmdet.models.task_modules.coders.',
    'mmdet.models.task_modules.prior_generators.',
    'mmdet.models.task_modules.samplers.',
    'mmengine.model.base_model.',
    'torch.nn.modules.',
)
TRANSFORMS_FROM = (
    'mmcovid.datasets.transforms.',
    'mmcv.transforms.',
    'mmdet.datasets.transforms.formatting.',
    'mmdet.datasets.transforms.loading.',
    'mmdet.datasets.transforms.transforms.',
)
DATASETS_FROM = ('mmcovid.datasets.', 'mmdet.datasets.', 'mmengine.dataset.')
VISUALIZERS_FROM = ('mmcovid.visualization.', 'mmdet.visualization.', 'mmengine.visualization.')
#: Operators of MMCV that configs name, though they are in no registry.
OPERATORS = ('nms', 'soft_nms', 'RoIAlign', 'RoIPool')
#: Only these are taken of a data set: enough to know its classes, and nothing of the folders.
_OF_A_DATASET = ('type', 'metainfo')
_SETS = ('seg', 'cls')
#: What is left out of the model (where its weights came from), of transforms (other storage than
#: the files of this machine) and of the visualiser (what writes files of its own).
_OF_THE_WEIGHTS = {'init_cfg', 'pretrained', 'stage1'}
_OF_THE_STORAGE = {'backend_args', 'file_client_args'}
_OF_THE_RUN = {'name', 'save_dir', 'vis_backends'}
#: The scope that inference sets; types of mmcovid are named with theirs.
_SCOPE = 'mmdet'
#: Values are words: neither paths nor addresses, nor code.
_WORD = re.compile(r'[\w+-]*')
_TUPLE = 'tuple'


class UntrustedConfigError(ValueError):
    """A saved config is more than data of known types, and was not taken."""


class SavedConfig(NamedTuple):
    """The config of a checkpoint."""

    config: Config  #: what inference needs of it
    sha256: str  #: of the config of the training; see :func:`config_hash`


def read_saved_config(
    meta: dict[str, Any], file: str | PathLike, trust_code: bool = False
) -> SavedConfig | None:
    """The config that a checkpoint tells in its meta, if it tells one.

    Args:
        meta (dict): Of the checkpoint.
        file (str | PathLike): The checkpoint, for messages.
        trust_code (bool): Run it as the program that it is, and build whatever it names. Defaults
            to False.

    Raises:
        UntrustedConfigError: It is more than data of known types, and not trusted.
    """
    saved = meta.get('saved_config', meta.get('cfg'))
    if saved is None:
        return None
    if trust_code:
        whole = Config.fromstring(saved, '.py') if isinstance(saved, str) else Config(saved)
        return SavedConfig(whole, meta.get('config_sha256') or config_hash(whole))
    try:
        values = saved_values(meta)
        return SavedConfig(Config(inference_part(values)), saved_hash(meta, values))
    except UntrustedConfigError as error:
        raise UntrustedConfigError(
            f'{file}: the config in it {error}, and was not taken. Give a config of your own '
            '(--config). If you trust the origin of the file as you trust a program, have the '
            'config in it run, with all that it names: --trust-code, in Python trust_code=True.'
        ) from error


def saved_values(meta: dict[str, Any]) -> dict[str, Any]:
    """All values of the config that a checkpoint tells in its meta.

    Raises:
        UntrustedConfigError: It is a program.
    """
    saved = meta['saved_config'] if 'saved_config' in meta else meta['cfg']
    return saved if isinstance(saved, dict) else parse_config(saved)


def trained_hash(meta: dict[str, Any]) -> str | None:
    """:func:`saved_hash` of a checkpoint; None if it tells no config, or one that is a program."""
    try:
        return saved_hash(meta, saved_values(meta))
    except (KeyError, UntrustedConfigError):
        return None


def saved_hash(meta: dict[str, Any], values: dict[str, Any]) -> str:
    """Hash of the config of the training, which a published file tells as it has only a part."""
    return meta.get('config_sha256') or config_hash(ConfigDict(values))


def parse_config(text: str) -> dict[str, Any]:
    """The values of a config, as MMEngine writes it into a checkpoint, without running it.

    Raises:
        UntrustedConfigError: There is more in it than values: calls, imports, names.
    """
    try:
        body = ast.parse(text).body
        return dict(map(_assigned, body))
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise UntrustedConfigError(f'is a program, not plain values ({error})') from error


def _assigned(node: ast.stmt) -> tuple[str, Any]:
    """Name and value of ``name = value``."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, _value(node.value)
    raise ValueError(ast.unparse(node)[:60])


def _value(node: ast.expr) -> Any:
    """A literal; ``dict(...)`` with keywords is one, too."""
    match node:
        case ast.Constant(value=str() | int() | float() | None):
            return node.value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List():
            return list(map(_value, node.elts))
        case ast.Tuple():
            return tuple(map(_value, node.elts))
        case ast.Dict() if all(isinstance(key, ast.Constant) for key in node.keys):
            keys = filter(None, node.keys)
            return {_value(key): _value(each) for key, each in zip(keys, node.values)}
        case ast.Call(func=ast.Name(id='dict'), args=[]) if all(key.arg for key in node.keywords):
            return {key.arg: _value(key.value) for key in node.keywords}
    raise ValueError(ast.unparse(node)[:60])


def config_text(values: dict[str, Any]) -> str:
    """Plain values as MMEngine reads a config; :func:`parse_config` reads it, too."""
    return ''.join(f'{name} = {value!r}\n' for name, value in values.items())


def to_json(value: Any) -> Any:
    """Plain values as JSON knows them: a tuple becomes ``{"tuple": [...]}``."""
    if isinstance(value, dict):
        return {key: to_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        values = list(map(to_json, value))
        return values if isinstance(value, list) else {_TUPLE: values}
    return value


def from_json(value: Any) -> Any:
    """Undo :func:`to_json`."""
    if isinstance(value, dict):
        if value.keys() == {_TUPLE}:
            return tuple(map(from_json, value[_TUPLE]))
        return {key: from_json(each) for key, each in value.items()}
    return list(map(from_json, value)) if isinstance(value, list) else value


def inference_part(values: dict[str, Any]) -> dict[str, Any]:
    """What inference needs of a config: model, test pipeline, classes and visualiser.

    Raises:
        UntrustedConfigError: There is no model or no test pipeline in it, or what could run code or
            read files when it is built.
    """
    try:
        dataset = values['test_dataloader']['dataset']
        part = dict(
            default_scope=values.get('default_scope', _SCOPE),
            model=_without(values['model'], _OF_THE_WEIGHTS),
            test_dataloader=dict(
                dataset=dict(
                    _classes_of(dataset), pipeline=_without(dataset['pipeline'], _OF_THE_STORAGE)
                )
            ),
        )
        if values.get('visualizer'):
            part['visualizer'] = _without(values['visualizer'], _OF_THE_RUN)
    except (AttributeError, KeyError, TypeError) as error:
        raise UntrustedConfigError(
            f'has no model, or no test_dataloader.dataset with a pipeline ({error})'
        ) from error
    _check_part(part)
    return part


def _classes_of(dataset: dict[str, Any]) -> dict[str, Any]:
    """A data set, and those in it, without their files."""
    kept = {key: dataset[key] for key in _OF_A_DATASET if dataset.get(key)}
    return kept | {key: _classes_of(dataset[key]) for key in _SETS if dataset.get(key)}


def _without(value: Any, left_out: set[str]) -> Any:
    """A copy without some keys, all the way down."""
    if isinstance(value, dict):
        return {key: _without(each, left_out) for key, each in value.items() if key not in left_out}
    if isinstance(value, (list, tuple)):
        return type(value)(_without(each, left_out) for each in value)
    return value


def _check_part(part: dict[str, Any]) -> None:
    """Refuse types that are not known, and values that are no words."""
    from mmdet.registry import DATASETS, MODELS, TASK_UTILS, TRANSFORMS, VISUALIZERS

    from mmcovid import registry

    if part['default_scope'] != _SCOPE:
        raise UntrustedConfigError(f'has the scope {part["default_scope"]!r}, not {_SCOPE!r}')
    models = _types((MODELS, TASK_UTILS), (registry.MODELS, registry.TASK_UTILS), MODELS_FROM)
    _check(part['model'], {*models, *OPERATORS})
    dataset = part['test_dataloader']['dataset']
    _check(dataset['pipeline'], _types([TRANSFORMS], [registry.TRANSFORMS], TRANSFORMS_FROM))
    visualizers = _types([VISUALIZERS], [registry.VISUALIZERS], VISUALIZERS_FROM)
    _check(part.get('visualizer'), visualizers)
    _check_sets(dataset, _types([DATASETS], [registry.DATASETS], DATASETS_FROM))


def _check_sets(dataset: dict[str, Any], types: set[str]) -> None:
    _check(dict(type=dataset.get('type')), types)
    for key, value in dataset.get('metainfo', {}).items():
        if isinstance(value, str):
            raise UntrustedConfigError(
                f'has a text, {value[:60]!r}, as {key!r} of a metainfo: the name of a file'
            )
    for key in _SETS:
        if key in dataset:
            _check_sets(dataset[key], types)


def _types(
    theirs: Sequence[Registry], ours: Sequence[Registry], modules: tuple[str, ...]
) -> set[str]:
    """What configs call the types that are registered and come from these modules."""

    def names(registries: Sequence[Registry], prefix: str) -> Iterator[str]:
        for registry in registries:
            registry.import_from_location()
            for name, registered in registry.module_dict.items():
                if f'{registered.__module__}.'.startswith(modules):
                    yield prefix + name

    roots = [registry.parent for registry in theirs if registry.parent is not None]
    found = {*names(theirs, ''), *names(roots, '')}
    return found | {f'{_SCOPE}.{name}' for name in found} | {*names(ours, 'mmcovid.')}


def _check(value: Any, types: set[str]) -> None:
    """Refuse other types and values than words and numbers, all the way down."""
    if isinstance(value, dict):
        for key, each in value.items():
            if not isinstance(key, str):
                raise UntrustedConfigError(f'has the key {key!r}, which is no name')
            if key != 'type':
                _check(each, types)
            elif not (isinstance(each, str) and each in types):
                raise UntrustedConfigError(f'names {each!r}, which is not known to be safe')
        if value.get('_scope_', _SCOPE) != _SCOPE:
            raise UntrustedConfigError(f'has the scope {value["_scope_"]!r}, not {_SCOPE!r}')
    elif isinstance(value, (list, tuple)):
        for each in value:
            _check(each, types)
    elif isinstance(value, str) and not _WORD.fullmatch(value):
        raise UntrustedConfigError(f'has the value {value[:60]!r}, which is no word')
