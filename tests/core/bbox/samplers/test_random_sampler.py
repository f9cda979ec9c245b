from mmdet.core.bbox.samplers import RandomSampler


def test_random_sampler_choice_takes_lists():
    chosen = RandomSampler(4, 0.5).random_choice([3, 5, 7], 2)
    assert len(set(chosen.tolist()) & {3, 5, 7}) == 2
