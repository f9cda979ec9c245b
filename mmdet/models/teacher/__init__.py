"""A teacher: the average of a detector, which completes labels that are not there (``model.teacher``)."""

from mmdet.models.teacher.calibration import Calibration, Counts
from mmdet.models.teacher.diagnosis import Diagnosis
from mmdet.models.teacher.student_view import StudentView
from mmdet.models.teacher.teacher import Teacher, num_classes_of

__all__ = ['Calibration', 'Counts', 'Diagnosis', 'StudentView', 'Teacher', 'num_classes_of']
