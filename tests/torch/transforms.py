"""What torchvision computes in transforms_test.cpp, in float32: pip install torchvision==0.29.2."""
import torch
import torchvision.transforms.v2.functional as V
import torchvision.transforms.functional as F
from torchvision.transforms import InterpolationMode as Mode

from frame import File, hashed

file = File(__file__)
nearest, linear = Mode.NEAREST, Mode.BILINEAR


def image(*shape):
    return hashed(shape, 0, 0.0, 1.0).float()


rgb, small, gray = image(3, 9, 12), image(2, 5, 4), image(1, 7, 6)


def record(name, result):
    file.store(name, result.float())


record("resize.down", F.resize(rgb, [4, 5], linear, antialias=True))
record("resize.up", F.resize(small, [11, 7], linear, antialias=True))
record("resize.mixed", F.resize(rgb, [20, 5], linear, antialias=True))
record("resize.plain", F.resize(rgb, [4, 5], linear, antialias=False))
record("resize.nearest", F.resize(rgb, [4, 17], nearest))
record("resize.shorter", F.resize(rgb, 5, linear, antialias=True))
record("resize.shorter_width", F.resize(small, 3, linear, antialias=True))
record("resized_crop", F.resized_crop(rgb, 2, 3, 6, 7, [4, 9], linear, antialias=True))
record("center_crop", F.center_crop(rgb, [4, 7]))
record("center_crop.larger", F.center_crop(small, [8, 3]))
record("pad.reflect", F.pad(small, [3, 2], padding_mode="reflect"))
record("pad.edge", F.pad(small, [3, 2], padding_mode="edge"))
record("pad.symmetric", F.pad(small, [3, 2], padding_mode="symmetric"))
record("normalize", F.normalize(rgb, [0.1, 0.2, 0.3], [0.5, 0.25, 2.0]))
record("hflip", F.hflip(rgb))
record("vflip", F.vflip(rgb))
for factor in [0.0, 0.6, 1.0, 1.7]:
    record(f"brightness.{factor}", F.adjust_brightness(rgb, factor))
    record(f"contrast.{factor}", F.adjust_contrast(rgb, factor))
    record(f"saturation.{factor}", F.adjust_saturation(rgb, factor))
record("contrast.gray", F.adjust_contrast(gray, 0.5))
for turn in [-0.5, -0.1, 0.0, 0.3]:
    record(f"hue.{turn}", F.adjust_hue(rgb, turn))
record("hue.gray_pixels", F.adjust_hue(gray.repeat(3, 1, 1), 0.2))
record("grayscale", F.rgb_to_grayscale(rgb))
record("blur", F.gaussian_blur(rgb, [5, 3], [1.3, 1.3]))
# Where a pixel lies half outside, torchvision weighs the outside twice when it is given a fill; without one it does not.
around = torch.tensor([0.5, 0.25, 1.0]).reshape(3, 1, 1)
affines = {
    "rotate": (30.0, [0, 0], 1.0, [0.0, 0.0]),
    "shift": (0.0, [3, -2], 1.0, [0.0, 0.0]),
    "scale": (0.0, [0, 0], 0.7, [0.0, 0.0]),
    "shear": (0.0, [0, 0], 1.0, [20.0, -15.0]),
    "all": (-70.0, [1, 2], 1.4, [10.0, 25.0]),
}
for name, (angle, translate, scale, shear) in affines.items():
    record(f"affine.{name}", F.affine(rgb - around, angle, translate, scale, shear, linear) + around)
record("affine.nearest", F.affine(rgb, 30.5, [1, 2], 0.9, [5.0, 0.0], nearest, fill=[0.5, 0.25, 1.0]))
moves = hashed((2, 9, 12), 1, -3.0, 3.0).float()  # down and across, in pixels
grid = torch.stack([moves[1] * 2 / 12, moves[0] * 2 / 9], -1)[None]
record("displace", V.elastic_image(rgb - around, grid, linear, fill=None) + around)

file.save()
