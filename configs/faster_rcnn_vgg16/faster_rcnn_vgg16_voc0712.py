# The same on the trainval sets of VOC 2007 and 2012, with a schedule longer in proportion to the number of images
_base_ = './faster_rcnn_vgg16_voc07.py'
data_root = 'data/VOCdevkit/'
data = dict(
    train=dict(
        ann_file=[
            data_root + 'VOC2007/ImageSets/Main/trainval.txt',
            data_root + 'VOC2012/ImageSets/Main/trainval.txt'
        ],
        img_prefix=[data_root + 'VOC2007/', data_root + 'VOC2012/']))
lr_config = dict(step=[180000])
runner = dict(max_iters=240000)
