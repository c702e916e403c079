import multiprocessing

import pytest
import torch

from learning_group import learn_in_a_group
from parlando.nn.rvq import DEAD_SHARE, DECAY, Codebook, CodebookLearning, Quantizer, ResidualVectorQuantizer
from waiting import HANG_SECONDS


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def quantizer():
    made = ResidualVectorQuantizer(dim=6, codebook_dim=6, codebook_size=8, num_codebooks=3)
    made(torch.randn(4, 50, 6), torch.full((4,), 3))
    return made.eval()


def test_the_nearest_codeword_is_nearest_and_the_first_wins_a_tie():
    book = Codebook(3, 2)
    book.embed.copy_(torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 0.0]]))
    assert book.nearest(torch.tensor([[0.4, 0.3], [0.9, 0.1], [7.0, -1.0]])).tolist() == [0, 1, 1]


def test_each_stage_leaves_less_over(quantizer):
    x = torch.randn(2, 20, 6)
    codes = quantizer.encode(x)
    assert codes.shape == (2, 3, 20)
    errors = [float((x - quantizer.decode(codes[:, :n])).square().mean()) for n in (1, 2, 3)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[0] < float(x.square().mean())


def test_codewords_encode_to_themselves(quantizer):
    book = quantizer.quantizers[0].codebook
    assert quantizer.encode(book.embed[None])[0, 0].tolist() == list(range(8))


def test_training_and_inference_quantise_alike(quantizer):
    x = torch.randn(2, 5, 6)
    total, first, codes, loss = quantizer(x, torch.tensor([3, 3]))
    assert torch.equal(codes, quantizer.encode(x))
    assert torch.allclose(total, quantizer.decode(codes), atol=1e-5)
    assert torch.allclose(first, quantizer.decode(codes[:, :1]), atol=1e-5)
    assert float(loss) > 0


def test_dropout_sums_only_the_first_stages_of_each_item(quantizer):
    x = torch.randn(3, 5, 6)
    total, _, codes, _ = quantizer(x, torch.tensor([1, 2, 3]))
    for item, used in enumerate((1, 2, 3)):
        assert torch.allclose(total[item], quantizer.decode(codes[item : item + 1, :used])[0], atol=1e-5)


def test_dropout_uses_some_stages_of_some_items(quantizer):
    assert quantizer.stages_used(50, 0.0).tolist() == [3] * 50
    some = quantizer.stages_used(600, 0.5)
    assert set(some.tolist()) == {1, 2, 3}
    assert (some < 3).float().mean().item() == pytest.approx(0.5, abs=0.1)
    one = ResidualVectorQuantizer(dim=6, codebook_dim=6, codebook_size=8, num_codebooks=1)
    assert one.stages_used(5, 1.0).tolist() == [1] * 5


def test_codebooks_learn_as_they_are_told():
    def after_one_batch(learning):
        torch.manual_seed(0)
        made = ResidualVectorQuantizer(dim=6, codebook_dim=6, codebook_size=8, num_codebooks=2)
        x = torch.randn(4, 50, 6)
        made(x, torch.full((4,), 2))
        made.learn_by(learning)
        before = made.quantizers[1].codebook.embed.clone()
        made(x + 1, torch.full((4,), 2))
        return (made.quantizers[1].codebook.embed - before).abs().max()

    assert after_one_batch(CodebookLearning(decay=1.0, dead_share=0.0)) < 1e-3
    assert after_one_batch(CodebookLearning(decay=0.5, dead_share=0.0)) > 0.1


def test_gradients_pass_straight_through(quantizer):
    x = torch.randn(1, 4, 6, requires_grad=True)
    total, *_ = quantizer(x, torch.tensor([1]))
    total.sum().backward()
    assert torch.allclose(x.grad, torch.ones_like(x))


def test_the_commitment_loss_pulls_the_input_to_its_codeword(quantizer):
    x = torch.randn(1, 4, 6, requires_grad=True)
    *_, loss = Quantizer.forward(quantizer.quantizers[0], x)
    loss.backward()
    chosen = quantizer.decode(quantizer.encode(x)[:, :1]).detach()
    assert torch.allclose(x.grad, 2 * (x - chosen).detach() / x.numel(), atol=1e-6)


def test_projections_stand_where_the_dimensions_differ():
    stage = Quantizer(dim=6, codebook_dim=2, codebook_size=4)
    stage.codebook.embed.normal_()
    assert stage.decode(stage.encode(torch.randn(1, 3, 6))).shape == (1, 3, 6)
    assert {name for name, _ in stage.named_parameters()} == {
        "project_in.weight",
        "project_in.bias",
        "project_out.weight",
        "project_out.bias",
    }


def test_the_first_stage_may_have_a_space_for_content_alone():
    made = ResidualVectorQuantizer(dim=6, codebook_dim=6, codebook_size=8, num_codebooks=3, content_dim=2)
    x = torch.randn(4, 50, 6, requires_grad=True)
    used = torch.full((4,), 3)
    made(x, used)
    total, content, codes, _ = made.eval()(x, used)
    assert content.shape == made.content(x).shape == (4, 50, 2)
    assert torch.allclose(content, made.content_of(codes[:, 0]))
    assert torch.allclose(total, made.decode(codes), atol=1e-5)
    total.sum().backward()
    assert made.quantizers[0].project_in.weight.grad is None
    assert made.quantizers[0].project_out.weight.grad.abs().sum() > 0


def test_without_such_a_space_the_content_is_the_latent(quantizer):
    x = torch.randn(1, 5, 6)
    codes = quantizer.encode(x)
    assert quantizer.content(x) is x
    assert torch.equal(quantizer.content_of(codes[:, 0]), quantizer.decode(codes[:, :1]))


def test_processes_that_learn_together_keep_the_same_codewords(tmp_path):
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    group = [context.Process(target=learn_in_a_group, args=(rank, tmp_path / "store", results)) for rank in (0, 1)]
    for process in group:
        process.start()
    (_, first, sizes), (_, second, same_sizes) = sorted(results.get(timeout=HANG_SECONDS) for _ in group)
    for process in group:
        process.join()
    assert first == second
    assert sizes == same_sizes
    assert max(max(word) for word in first) > 3


def test_k_means_finds_the_clusters_of_the_first_batch():
    centres = torch.tensor([[5.0, 0.0], [-5.0, 0.0], [0.0, 5.0]])
    vectors = centres.repeat_interleave(40, 0) + 0.01 * torch.randn(120, 2)
    book = Codebook(12, 2)
    book.start(vectors)
    assert book.inited.item() == 1
    assert float(torch.cdist(vectors, book.embed).amin(1).max()) < 0.2


def test_codewords_move_towards_the_running_mean_of_their_vectors():
    book = Codebook(2, 1)
    book.embed.copy_(torch.tensor([[0.0], [10.0]]))
    book.cluster_size.fill_(5)
    book.embed_avg.copy_(book.embed * 5)
    vectors = torch.tensor([[1.0]] * 5 + [[10.0]] * 5)
    book.learn(vectors, book.nearest(vectors))
    assert book.embed[0].item() == pytest.approx(1 - DECAY, rel=1e-3)
    assert book.embed[1].item() == pytest.approx(10, rel=1e-3)


def test_dead_codewords_are_put_on_vectors_of_the_batch():
    book = Codebook(4, 1)
    book.embed.copy_(torch.tensor([[1.0], [2.0], [100.0], [-100.0]]))
    book.cluster_size.copy_(torch.tensor([50.0, 50.0, DEAD_SHARE * 0.9 * 25, 0.0]))
    book.embed_avg.copy_(book.embed * book.cluster_size[:, None])
    vectors = torch.tensor([[1.0], [2.0]]).repeat(50, 1)
    book.learn(vectors, book.nearest(vectors))
    assert set(book.embed[2:].flatten().tolist()) <= {1.0, 2.0}
    assert book.cluster_size[2:].tolist() == [25.0, 25.0]
    assert book.embed[:2].flatten().tolist() == pytest.approx([1.0, 2.0], rel=1e-3)


def test_nothing_is_learned_in_evaluation(quantizer):
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    quantizer(torch.randn(2, 9, 6), torch.tensor([3, 3]))
    assert all(torch.equal(before[name], tensor) for name, tensor in quantizer.state_dict().items())
