import torch

from gen3d.background import harmonics


def test_harmonics_are_orthogonal_over_the_sphere() -> None:
    directions = torch.nn.functional.normalize(torch.randn(40000, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    values = harmonics(directions)
    torch.testing.assert_close(values.T @ values / 40000, torch.eye(9), rtol=0, atol=0.05)
