"""Every config of the tree passes the look at its keys, data sets, hooks and metrics."""

import warnings
from pathlib import Path

import pytest
from mmcv import Config

from mmdet.apis.checking.config_check import check_config
from mmdet.apis.checking.unknown_keys import check_known_keys
from mmdet.utils import compat_cfg
from mmdet.utils.configs.config_error import ConfigKeyError, ConfigTypeError

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = sorted({path.parent for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts})


# published as they are: an argument that no loader of annotations has ever had, a hook without a type
BROKEN = {
    'ssd300_32x8_36e_openimages.py': 'normed_bbox',
    'rfnext_fixed_multi_branch_cascade_mask_rcnn_hrnetv2p_w18_20e_coco.py': "needs the key 'type'",
}


@pytest.mark.parametrize('folder', FOLDERS, ids=lambda folder: folder.name)
def test_configs_of_a_folder_pass(folder):
    for path in sorted(folder.glob('*.py')):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of deprecated names
            cfg = Config.fromfile(str(path), import_custom_modules=False)
        if path.name in BROKEN:
            with pytest.raises((ConfigTypeError, ConfigKeyError), match=BROKEN[path.name]):
                check_config(compat_cfg(cfg))
        elif 'runner' in cfg or 'total_epochs' in cfg:
            check_config(compat_cfg(cfg))
        else:
            check_known_keys(cfg)
