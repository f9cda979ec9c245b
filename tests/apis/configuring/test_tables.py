"""CSV files with columns of many names."""

import pytest
from odd_annotations import CAT, boxes_of

from mmdet.apis.configuring import AnnotationError, read_annotations


@pytest.mark.parametrize(
    'text',
    [
        'filename,width,height,class,xmin,ymin,xmax,ymax\na.png,1,1,cat,10,5,30,25\nb.png',
        'a.png,10,5,30,25,cat\nb.png,,,,,',
    ],
    ids=['named columns', 'bare'],
)
def test_csv_with_and_without_names_of_columns(folder, text):
    (folder / 'boxes.csv').write_text(text, 'utf-8-sig')
    assert boxes_of(read_annotations(folder / 'boxes.csv')) == {'a.png': [CAT], 'b.png': []}


def test_csv_without_a_column_names_it(folder):
    (folder / 'boxes.csv').write_text('filename,klass,xmin,ymin,xmax,ymax\n')
    with pytest.raises(AnnotationError, match='no column class; did you mean .klass'):
        read_annotations(folder / 'boxes.csv')


FRACTIONS = 'no number of the boxes is above 1: they are taken as fractions of the images'
CORNER = 'x and y of the boxes are taken as their upper left corners'


@pytest.mark.parametrize(
    ('text', 'remarks'),
    [
        ('image,x,y,width,height,label\na.png,10,5,20,20,cat', [CORNER]),
        ('image_id,width,height,bbox,label\na,80,40,"[10.0, 5, 20, 20]",cat', [CORNER]),
        ('image_id,class_name,class_id,x_min,y_min,x_max,y_max\na,cat,0,10,5,30,25', []),
        ('ImageID,Source,LabelName,XMin,XMax,YMin,YMax\na,x,cat,.125,.375,.125,.625', [FRACTIONS]),
        ('filename;xmin;ymin;xmax;ymax;class\na.png;30;5;10;25; cat', []),
        ('filename\txmin\tymin\txmax\tymax\tclass\nx\\a.png\t10\t5\t30\t25\tcat', []),
    ],
    ids=['sizes', 'lists', 'names with lines', 'Open Images', 'semicolons', 'tabulators'],
)
def test_csv_columns_are_found_by_many_names(folder, text, remarks):
    path = folder / 'BOXES.CSV'
    path.write_text(text)
    found = read_annotations(path)
    assert boxes_of(found) == {'a.png': [CAT]}
    assert found.notes == [f'{path}: {remark}' for remark in remarks]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a.png,cat,10,5,30,25', 'line 1: expected four numbers'),
        ('filename,xmin,ymin,xmax,ymax,class\na.png,nan,5,30,25,cat', 'line 2: expected finite numbers'),
        ('filename,class,bbox\na.png,cat,"[1, 2]"', 'line 2: expected four numbers'),
        ('', 'boxes.csv is empty'),
    ],
)
def test_csv_that_cannot_be_read_is_named(folder, text, message):
    (folder / 'boxes.csv').write_text(text)
    with pytest.raises(AnnotationError, match=message):
        read_annotations(folder / 'boxes.csv')


def test_csv_in_another_encoding_is_named(folder):
    (folder / 'boxes.csv').write_text('filename,xmin,ymin,xmax,ymax,class\na.png,1,2,3,4,K\xe4fer', encoding='latin-1')
    with pytest.raises(AnnotationError, match='boxes.csv is not in UTF-8'):
        read_annotations(folder / 'boxes.csv')
