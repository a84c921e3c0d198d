"""Small tensors on their way to a device, without waiting for what the device is doing."""

import torch
from torch import Tensor


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """The tensor on a device.

    A plain copy to CUDA waits until everything asked of the device before is done. From page-locked memory it does not.
    """
    if torch.device(device).type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
