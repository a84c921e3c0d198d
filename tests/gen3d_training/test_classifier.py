"""The judge of prompts: kinds by names, worn pictures, and a network that learns from some objects and names others."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gen3d.checkpoint import save_checkpoint
from gen3d.errors import BadInput
from gen3d_training.classifier import Classifier, KindNetwork
from gen3d_training.colors import COLORS
from gen3d_training.dataset import ViewDataset, over_white
from gen3d_training.kinds import KINDS, PROMPTS, kind_of, objects_by_kind, read_prompts, split
from gen3d_training.train_classifier import JUDGED_DEG, draw, measure, train_classifier, within, worn
from kind_views import COUNT, VIEWS, write_kinds


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ViewDataset:
    return ViewDataset.open(write_kinds(tmp_path_factory.mktemp("views")))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["red", "mushroom"], "mushroom"),
        (["rock", "snow", "large"], "rock"),
        (["fish", "lure"], ""),
        (["tree", "stump"], ""),
        (["crate", "fish"], ""),
        (["dragon"], ""),
    ],
)
def test_a_kind_is_one_word_without_others_that_make_something_else_of_it(words: list[str], kind: str) -> None:
    assert kind_of(words) == kind


def test_kinds_of_objects_are_read_from_names_and_packs() -> None:
    names = [*(f"p/Barrel_{at}" for at in "1234"), *(f"p/rocks_{at}" for at in "12"), "p/rock_A", "p/Rock_Snow_3"]
    names += [*(f"cute_fish_pack/{name}" for name in ("Shark", "Tuna", "Lure_1", "Dock", "Koi", "Eel"))]
    names += [*(f"modular_sci_fi_guns_pack/barrel_{at}" for at in "12345"), *(f"p/sword_{at}" for at in "123")]
    names += ["p/tree_stump"] * 4
    found = objects_by_kind(names)
    assert {kind: [names[at] for at in places] for kind, places in found.items()} == {
        "barrel": names[:4],
        "rock": names[4:8],
        "fish": [f"cute_fish_pack/{name}" for name in ("Shark", "Tuna", "Koi", "Eel")],
    }


def test_what_is_not_what_it_is_called_is_of_no_kind() -> None:
    names = [f"q/crops_pack/Flower_{at}" for at in "123456"] + [f"q/other_pack/Flower_{at}" for at in "12"]
    assert [names[at] for at in objects_by_kind(names)["flower"]] == names[2:]


def test_a_quarter_of_each_kind_is_held_out_and_the_seed_says_which() -> None:
    names = [*(f"p/tree_{at}" for at in range(20)), *(f"p/crate_{at}" for at in range(4)), "p/dragon"]
    learnt, held_out = split(names, 0)
    assert {kind: len(places) for kind, places in held_out.items()} == {"tree": 5, "crate": 2}
    for kind, places in objects_by_kind(names).items():
        assert sorted(learnt[kind] + held_out[kind]) == places
    assert split(names, 0) == (learnt, held_out)
    assert len({tuple(split(names, seed)[1]["tree"]) for seed in range(8)}) > 4
    _, fewer = split(names[1:], 0)
    kept = {names[at] for at in held_out["tree"]} & {names[1:][at] for at in fewer["tree"]}
    assert len(kept) >= 4


def test_the_prompts_name_ten_kinds_and_their_colours() -> None:
    prompts = read_prompts(None)
    assert tuple(prompts) == PROMPTS
    assert len(set(prompts.values())) == len(prompts) == 10
    assert set(prompts.values()) < set(KINDS)
    assert all(set(prompt.split()) & set(COLORS) for prompt in prompts)


def test_the_page_on_evaluation_names_the_kinds() -> None:
    page = " ".join((Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8").split())
    assert f"**Kinds**: {', '.join(KINDS)}." in page


def test_prompts_can_be_given(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text("A snowy TREE, tall\n\n  a crate\n")
    assert read_prompts(path) == {"A snowy TREE, tall": "tree", "a crate": "crate"}


@pytest.mark.parametrize(
    ("text", "word"),
    [("a dragon", "dragon"), ("a fish on a table", "several"), ("\n\n", "no prompts"), ("a tree\na tree.", "differ")],
)
def test_prompts_that_cannot_be_judged_are_named(tmp_path: Path, text: str, word: str) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(text)
    with pytest.raises(BadInput, match=word) as caught:
        read_prompts(path)
    assert str(path) in str(caught.value)


def test_a_file_of_prompts_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="absent"):
        read_prompts(tmp_path / "absent.txt")


def test_worn_pictures_keep_their_colours_on_average_and_are_functions_of_their_stream() -> None:
    rgba = torch.zeros(200, 16, 16, 4)
    rgba[:, 5:11, 5:11] = torch.tensor([0.8, 0.3, 0.1, 1.0])
    images = worn(rgba, torch.Generator().manual_seed(0))
    assert images.shape == (200, 16, 16, 3)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    assert torch.equal(images, worn(rgba, torch.Generator().manual_seed(0)))
    assert float(images[:, 0, 0].mean()) > 0.95  # white, but for noise
    red, green, blue = images[:, 8, 8].mean(dim=0).tolist()
    assert red > green + 0.2 > blue + 0.2
    spread = images[:, 8, 8].std(dim=0)
    assert float(spread.min()) > 0.03
    widths = (images.mean(dim=-1) < 0.8).any(dim=1).sum(dim=1)
    assert len(widths.unique()) > 3  # scaled, moved, blurred


def test_empty_pictures_stay_white() -> None:
    images = worn(torch.zeros(50, 16, 16, 4), torch.Generator().manual_seed(0))
    assert float(images.mean()) > 0.97


def test_batches_hold_all_kinds_by_the_root_of_their_sizes(dataset: ViewDataset) -> None:
    kinds = objects_by_kind(dataset.names)
    uneven = {**kinds, "crate": kinds["crate"][:1], "fish": kinds["fish"][:4]}
    images, which = draw(dataset, uneven, 900, torch.Generator().manual_seed(0))
    shares = which.bincount(minlength=3) / 900
    roots = torch.tensor([len(places) for places in uneven.values()]).sqrt()
    assert torch.allclose(shares, roots / roots.sum(), atol=0.05)
    assert images.shape == (900, 16, 16, 3)


def test_views_are_chosen_by_their_elevation(dataset: ViewDataset) -> None:
    steep = ViewDataset(
        dataset.names,
        dataset.pictures,
        dataset.azimuth,
        torch.linspace(-1.5, 1.5, VIEWS).expand(len(dataset), VIEWS),
        dataset.radius,
        dataset.fov,
    )
    assert within(dataset, JUDGED_DEG).all()
    assert within(steep, (-20.0, 20.0))[0].tolist() == [False, False, True, True, False, False]  # +-0.3 are within


@pytest.fixture(scope="module")
def trained(dataset: ViewDataset) -> Classifier:
    return train_classifier(dataset, seed=0, steps=16)


def test_it_learns_to_name_objects_that_it_has_not_seen(dataset: ViewDataset, trained: Classifier) -> None:
    assert trained.kinds == ("tree", "fish", "crate")
    about = trained.about
    assert about["views"]["right"] > 0.9
    assert about["objects"] == {"right": 1.0, "mean_over_kinds": 1.0}
    assert about["held_out"] == {"views": 6 * VIEWS, "objects": 6}
    assert [sum(row) for row in about["confusion"]] == [2 * VIEWS] * 3
    assert about["chance"] == about["commonest"] == pytest.approx(1 / 3)
    _, held_out = split(dataset.names, 0)
    scores = trained.log_probabilities(over_white(dataset.pictures[held_out["fish"][0]].float() / 255))
    assert torch.allclose(scores.exp().sum(dim=1), torch.ones(VIEWS))


def test_mirror_images_are_named_alike(trained: Classifier) -> None:
    images = torch.rand(4, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    scores = trained.log_probabilities(images)
    assert torch.allclose(trained.log_probabilities(images.flip(2)), scores, atol=1e-5)
    own, mirrored = (trained.network(pictures).softmax(dim=1) for pictures in (images, images.flip(2)))
    assert torch.allclose(scores.exp(), (own + mirrored) / 2, atol=1e-5)
    assert not torch.allclose(own, mirrored, atol=1e-3)


def test_training_is_a_function_of_its_seed(dataset: ViewDataset, trained: Classifier) -> None:
    state = torch.random.get_rng_state()
    told: list[tuple[int, int]] = []
    again = train_classifier(dataset, seed=0, steps=16, progress=lambda done, total: told.append((done, total)))
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, trained.network.state_dict()[name]), name
    assert told[-1] == (16, 16)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_classifier_is_the_same_when_it_is_read_again(trained: Classifier, tmp_path: Path) -> None:
    trained.save(tmp_path / "classifier.safetensors")
    read = Classifier.load(tmp_path / "classifier.safetensors")
    assert (read.kinds, read.about) == (trained.kinds, trained.about)
    images = torch.rand(5, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(read.log_probabilities(images), trained.log_probabilities(images))


def test_a_file_that_holds_no_classifier_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "other.safetensors", {"kinds": ["tree"], "network": {"x": torch.zeros(1)}, "about": {}})
    with pytest.raises(BadInput, match="no classifier"):
        Classifier.load(tmp_path / "other.safetensors")


def test_figures_of_one_that_always_says_the_same(dataset: ViewDataset) -> None:
    network = KindNetwork(3).eval()
    last = network.head[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([0.0, 1.0, 0.0])
    kinds = objects_by_kind(dataset.names)
    held_out = {"tree": kinds["tree"][:1], "fish": kinds["fish"][:4], "crate": kinds["crate"][:3]}
    figures = measure(network, dataset, held_out)
    assert figures["confusion"] == [[0, VIEWS, 0], [0, 4 * VIEWS, 0], [0, 3 * VIEWS, 0]]
    for key in ("views", "objects"):
        assert figures[key] == pytest.approx({"right": 0.5, "mean_over_kinds": 1 / 3})
    assert figures["commonest"] == 0.5
    assert COUNT >= 4
