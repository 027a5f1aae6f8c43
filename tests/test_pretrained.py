"""Teachers with downloaded weights: the loading path, with weights files made here."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from experiments import networks, pretrained
from safetensors.torch import save_file

from kdutils import data, experiments, models, runs
from kdutils.models import FAMILIES, Family
from kdutils.tables import Arm

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """An empty folder for weights, and no network."""
    monkeypatch.setenv("KDUTILS_WEIGHTS", str(tmp_path))
    for proxy in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    pretrained.body.cache_clear()
    pretrained._clip.cache_clear()
    yield tmp_path
    pretrained.body.cache_clear()
    pretrained._clip.cache_clear()


def torchvisions(name: str) -> torch.nn.Module:
    """torchvision's own network of that name, its weights saved where they are looked for."""
    torch.manual_seed(1)
    net = pretrained.SOURCES[name].make(weights=None)
    torch.save(net.state_dict(), pretrained.path(name))
    return net.eval()


@pytest.mark.parametrize("name", pretrained.SOURCES)
def test_a_probe_stands_on_what_torchvisions_network_computes(name, weights):
    theirs = torchvisions(name)
    net = models.build(f"imagenet-{name}").eval()
    source = pretrained.SOURCES[name]
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in pretrained.CIFAR10)
    pixels = F.interpolate(IMAGES * std + mean, size=source.size, mode="bilinear")
    imagenet = source.weights.transforms()
    wanted_mean, wanted_std = (
        torch.tensor(x).view(1, 3, 1, 1) for x in (imagenet.mean, imagenet.std)
    )
    kept = {}
    theirs.get_submodule(source.head).register_forward_pre_hook(
        lambda _, args: kept.update(features=args[0])
    )
    with torch.no_grad():
        theirs((pixels - wanted_mean) / wanted_std)
        features = net.features(IMAGES)
        assert torch.allclose(features, kept["features"], rtol=2e-3, atol=2e-3)
        assert torch.equal(net(IMAGES), net.head(features))
    n = kept["features"].shape[1]
    assert models.count_parameters(net) == 10 * n + 10  # the head alone is trained
    assert all(key.startswith("head.") for key in net.state_dict())


def test_the_published_sizes_of_the_inputs_and_networks():
    published = {"resnet50": 25_557_032, "inception-v3": 27_161_264, "vit-b-16": 86_567_656}
    for name, source in pretrained.SOURCES.items():
        assert source.size == source.weights.transforms().crop_size[0]
        assert source.weights.meta["num_params"] == published[name]


def test_all_layers_of_a_tuned_network_learn_and_the_original_stays(weights):
    torchvisions("resnet50")
    net = models.build("tuned-resnet50")
    body, _ = pretrained.body("resnet50")
    before = body.conv1.weight.clone()
    net(IMAGES).sum().backward()
    with torch.no_grad():
        for p in net.parameters():
            assert p.grad is not None
            p -= p.grad
    assert torch.equal(body.conv1.weight, before)
    assert not torch.equal(net[1].conv1.weight, before)


def test_features_are_computed_once_for_each_image(weights):
    torchvisions("resnet50")
    net, asked = models.build("imagenet-resnet50").train(), []
    net._body[0].register_forward_hook(lambda _, args, out: asked.append(len(args[0])))
    first = net.features(IMAGES)
    again = net.features(torch.cat([IMAGES[1:], IMAGES[:1] + 1]))
    assert asked == [3, 1] and torch.equal(first[1:], again[:2])
    assert not net._body[0].training  # its batch norms keep ImageNet's statistics
    assert networks.count_macs(net) == pytest.approx(4.09e9, rel=1e-3)  # as published, at 224


def test_the_first_weights_of_the_head_are_the_seeds_alone(weights):
    torchvisions("resnet50")
    heads = []
    for _ in range(2):  # read from the file, then remembered
        torch.manual_seed(7)
        heads.append(models.build("imagenet-resnet50").head[1].weight)
    assert torch.equal(*heads)


def test_a_probe_is_a_teacher_like_any_other(weights, store, tiny, monkeypatch):
    """The engine trains the head, stores its answers about views, and a student learns."""
    body = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())

    def small(*, in_shape, classes):
        return pretrained.Frozen(body, pretrained.Enlarged(48), torch.nn.Linear(48, classes))

    monkeypatch.setitem(FAMILIES, "imagenet-small", Family(small, "", "'imagenet-small'"))
    teacher = replace(tiny, dataset="bayes10-toy", model="imagenet-small", epochs=20)
    recipe = replace(
        teacher, model="mlp-16", teacher=(teacher,), views="crop-flip", n_views=2, epochs=2
    )
    record = runs.run(recipe, store)
    assert "test_agreement" in record.metrics
    assert store.get(teacher).metrics["val_accuracy"] > 20  # of ten classes
    assert store.get(teacher).parameters == 490


def test_without_file_and_network_the_way_out_is_named(weights):
    with pytest.raises(
        pretrained.MissingWeights, match="Put vit_b_16-c867db91.pth there, or set KDU"
    ):
        models.build("imagenet-vit-b-16")


def test_weights_of_another_architecture_are_refused_by_name(weights):
    torch.manual_seed(0)
    other = torch.nn.Linear(3, 4).state_dict()
    with torch.device("meta"):
        resnet18 = pretrained.zoo.resnet18()
    small = {k: torch.zeros(v.shape, dtype=v.dtype) for k, v in resnet18.state_dict().items()}
    for content, says in (
        (other, "320 tensors are missing, first 'bn1.bias'; 2 are not its own, first 'bias'"),
        (small, r"have another shape, first 'fc.weight': \[1000, 512\], expected \[1000, 2048\]"),
    ):
        torch.save(content, pretrained.path("resnet50"))
        with pytest.raises(
            ValueError, match="weights of another architecture than resnet50.*" + says
        ):
            models.build("imagenet-resnet50")


def test_a_file_that_holds_no_weights_is_refused(weights):
    path = pretrained.path("resnet50")
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(ValueError, match="holds no weights that PyTorch can read"):
        models.build("imagenet-resnet50")
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="holds no weights that PyTorch can read"):
        models.build("imagenet-resnet50")
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="holds a list; expected a state dict"):
        models.build("imagenet-resnet50")


def test_grey_images_are_refused():
    for name in ("imagenet-resnet50", "tuned-vit-b-16", "clip-cifar10"):
        with pytest.raises(ValueError, match=r"\[1, 28, 28\]; a pre-trained network takes 3"):
            models.build(name, (1, 28, 28))


def test_clip_knows_the_names_of_cifar10_and_no_others():
    with pytest.raises(ValueError, match="clip-cifar10 knows 10 classes; 100 are asked"):
        models.build("clip-cifar10", classes=100)


def test_a_scale_changes_no_answer():
    head = pretrained.Scaled(torch.randn(10, 8), 2.0)
    x = torch.randn(50, 8)
    cold = head(x)
    cosines = F.cosine_similarity(x[:, None], head.directions[None], dim=2)
    assert torch.allclose(cold, torch.tensor(2.0).exp() * cosines, atol=1e-5)
    head.log_scale.data.fill_(4.0)
    assert torch.equal(cold.argmax(1), head(x).argmax(1))
    assert models.count_parameters(head) == 1


@pytest.mark.skipif(find_spec("open_clip") is not None, reason="open_clip is installed")
def test_without_open_clip_the_extra_is_named(weights):
    with pytest.raises(pretrained.MissingWeights, match=r"pip install -e '.\[clip\]'"):
        models.build("clip-cifar10")


@pytest.mark.skipif(find_spec("open_clip") is None, reason="open_clip is not installed")
def test_clip_answers_as_open_clip_does(weights):
    import open_clip

    torch.manual_seed(0)
    clip = open_clip.create_model("ViT-B-32-quickgelu").eval()
    save_file(clip.state_dict(), weights / "open_clip_model.safetensors")
    net = models.build("clip-cifar10").eval()
    text = open_clip.get_tokenizer("ViT-B-32")(
        [f"a photo of a {n}." for n in pretrained.NAMES["cifar10"]]
    )
    with torch.no_grad():
        image, words = clip.encode_image(net.enlarge(IMAGES)), clip.encode_text(text)
        expected = clip.logit_scale.exp() * F.normalize(image, dim=1) @ F.normalize(words, dim=1).T
        assert torch.allclose(net(IMAGES), expected, atol=5e-3)
    (weights / "open_clip_model.safetensors").write_bytes(b"")
    pretrained._clip.cache_clear()
    with pytest.raises(ValueError, match="holds no weights of CLIP"):
        models.build("clip-cifar10")


def test_the_constants_are_those_of_the_data_set():
    if not (data.folder() / "cifar-10-batches-py").exists():
        pytest.skip("CIFAR-10 is not in the data folder; see data/README.md")
    cifar = data.load("cifar10")
    assert (cifar.mean, cifar.std) == pretrained.CIFAR10
    assert cifar.classes == pretrained.NAMES["cifar10"]


def test_paper_has_students_of_every_download_and_the_others_have_none():
    n09 = experiments.chapter("09")
    for name in ("smoke", "laptop"):
        assert not n09.imagenet(experiments.get_profile(name))
    arms = {arm.name: arm for arm in experiments.arms("09", "paper")}
    for name, recipe in n09.imagenet(experiments.get_profile("paper")).items():
        assert arms[n09.from_teacher(name)].recipe.teachers == (recipe,)
        assert recipe.model in models.FAMILIES


def test_without_weights_a_lab_says_so_and_goes_on(weights, store, tiny, monkeypatch, capsys):
    n09, missing = experiments.chapter("09"), "imagenet-resnet50"
    lost = replace(tiny, dataset="bayes10-toy", model=missing, epochs=1)
    arms = [Arm("t", "lost", lost, optional=True, once=True), Arm("t", "kept", tiny)]
    monkeypatch.setattr(n09, "arms", lambda p: arms)
    lab = experiments.Lab("09", "laptop", [0], train=True, store=store)
    assert lab.records("kept") and not lab.records("lost")
    assert "lost: The ImageNet weights of resnet50 are not in" in capsys.readouterr().out
