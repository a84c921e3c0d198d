"""The test kit for authors of plugins: contracts to check against, toy parts, priors in closed form."""

from gen3d.testing.conformance import check_guidance as check_guidance
from gen3d.testing.priors import ClosedFormAdapter as ClosedFormAdapter
from gen3d.testing.priors import GaussianPrior as GaussianPrior
from gen3d.testing.priors import Mixture as Mixture
from gen3d.testing.priors import MixtureAdapter as MixtureAdapter
from gen3d.testing.priors import MixturePrior as MixturePrior
from gen3d.testing.toys import ToyField as ToyField
from gen3d.testing.toys import ToyRenderer as ToyRenderer
from gen3d.testing.toys import toy_cameras as toy_cameras
from gen3d.testing.toys import toy_stage as toy_stage
