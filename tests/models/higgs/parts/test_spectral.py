import pytest
import torch

from parlando.models.higgs.parts.spectral import NeighbourBlock, SpectralCodec, SpectralCodecConfig

TINY = SpectralCodecConfig(
    num_bands=12,
    num_codebooks=3,
    codebook_size=8,
    latent_dim=6,
    fine_dim=8,
    coarse_dim=10,
    hidden_dim=12,
    encoder_fine_blocks=1,
    encoder_coarse_blocks=1,
    decoder_coarse_blocks=2,
    decoder_fine_blocks=3,
    mel_after_blocks=1,
)


@pytest.fixture(scope="module")
def codec():
    torch.manual_seed(0)
    made = SpectralCodec(TINY).eval()
    for quantizer in made.quantizer.quantizers:
        quantizer.codebook.embed.normal_(generator=torch.Generator().manual_seed(1))
    return made


def test_sizes_follow_from_the_config(codec):
    assert (codec.sample_rate, codec.samples_per_frame) == (24_000, 960)
    assert (codec.num_codebooks, codec.codebook_size) == (3, 8)
    default = SpectralCodec(SpectralCodecConfig(fine_dim=4, coarse_dim=4, hidden_dim=4, latent_dim=4))
    assert (default.past_frames, default.future_frames) == (5, 5)


def test_a_block_sees_one_neighbour_on_each_side():
    block = NeighbourBlock(4, 8)
    x = torch.randn(1, 7, 4)
    changed = x.clone()
    changed[0, 3] += torch.randn(4)
    moved = (block(changed) - block(x)).abs().amax(2)[0] > 1e-7
    assert moved.tolist() == [False, False, True, True, True, False, False]


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (960, 1), (961, 2), (2_501, 3)])
def test_encode_completes_the_last_frame(codec, samples, frames):
    wave = 0.1 * torch.randn(2, samples)
    codes = codec.encode(wave)
    assert codes.shape == (2, 3, frames)
    assert 0 <= int(codes.min()) <= int(codes.max()) < 8
    padded = torch.nn.functional.pad(wave, (0, frames * 960 - samples))
    assert torch.equal(codes, codec.encode(padded))
    assert codec.decode(codes).shape == (2, frames * 960)


def test_decode_reaches_exactly_as_far_as_said(codec):
    frames, centre = 2 * codec.past_frames + 7, codec.past_frames + 3
    codes = torch.randint(8, (1, 3, frames), generator=torch.Generator().manual_seed(2))
    changed = codes.clone()
    changed[:, :, centre] = (codes[:, :, centre] + 3) % 8
    doubled = codec.double()
    moved = (doubled.decode(changed) - doubled.decode(codes)).view(frames, -1).abs().amax(1) > 0
    codec.float()
    first, last = centre - codec.future_frames, centre + codec.past_frames
    assert moved.nonzero().flatten().tolist() == list(range(first, last + 1))


def test_a_window_with_that_context_decodes_as_the_whole(codec):
    past, future = codec.past_frames, codec.future_frames
    codes = torch.randint(8, (1, 3, past + future + 9), generator=torch.Generator().manual_seed(3))
    whole = codec.decode(codes).view(-1, 960)
    window = codec.decode(codes[:, :, 4 : 4 + past + 1 + future]).view(-1, 960)
    assert torch.allclose(window[past], whole[4 + past], atol=1e-5)


def test_fewer_codebooks_decode_too(codec):
    codes = torch.randint(8, (1, 3, 4))
    assert codec.decode(codes[:, :1]).shape == (1, 4 * 960)
    assert not torch.allclose(codec.decode(codes[:, :1]), codec.decode(codes))


def test_the_halfway_mel_has_the_shape_of_the_analysis(codec):
    wave = torch.randn(1, 1_920)
    mel = codec.analyse(wave)
    made, halfway = codec.decoder(codec.quantizer.decode(codec.encode(wave)).clone())
    assert halfway.shape == mel.shape == (1, 8, 12)
    assert made.shape == (1, 1_920)
    early, again = codec.decoder.halfway(codec.quantizer.decode(codec.encode(wave)).clone())
    assert early.shape == (1, 8, 8)
    assert torch.equal(again, halfway)
