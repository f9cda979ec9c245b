"""Run cases on the CPU and on the simulated device, in a process of its own: registering a device changes torch.

    python tests/sim_device/sim_worker.py faster_rcnn retinanet     one JSON line a case
"""
