"""Writes images.safetensors: small PNG and JPEG files and the pixels that they hold.

    pip install pillow==13.0.0 numpy safetensors
    python3 images.py

`<case>/file` holds the bytes of a file, `<case>/stored` its pixels [c, h, w] with the channels as they are stored;
`<case>/gray`, `<case>/turned` and `<case>/scaled<n>` what else there is to be had from it. The PNG files are written
here, chunk by chunk, and the pixels follow from what went into them; of the JPEG files, Pillow tells the pixels.
"""
import io
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GRAY: 1, RGB: 3, PALETTE: 1, GRAY_ALPHA: 2, RGBA: 4}
ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]

tensors = {}
random = np.random.default_rng(1)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(samples, depth):
    """Rows of samples [h, w, c] as PNG packs them, each behind the filter byte 0."""
    rows = b""
    for row in samples.reshape(len(samples), -1):
        if depth == 16:
            row = row.astype(">u2").tobytes()
        elif depth == 8:
            row = row.astype("u1").tobytes()
        else:
            bits = "".join(f"{v:0{depth}b}" for v in row)
            bits += "0" * (-len(bits) % 8)
            row = int(bits, 2).to_bytes(len(bits) // 8, "big")
        rows += b"\0" + row
    return rows


def png(samples, depth, kind, interlaced=False, extra=b""):
    height, width, _ = samples.shape
    passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    data = b"".join(packed(part, depth) for part in passes if part.size)
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(data, 9))
            + chunk(b"IEND", b""))


def record(case, file, **pixels):
    tensors[f"{case}/file"] = np.frombuffer(file, np.uint8)
    for name, image in pixels.items():
        image = np.asarray(image, np.uint8)
        image = image[:, :, None] if image.ndim == 2 else image
        tensors[f"{case}/{name}"] = np.ascontiguousarray(image.transpose(2, 0, 1))


def pngs():
    names = {GRAY: "gray", RGB: "rgb", PALETTE: "palette", GRAY_ALPHA: "gray_alpha", RGBA: "rgba"}
    depths = {GRAY: [1, 2, 4, 8, 16], RGB: [8, 16], PALETTE: [1, 2, 4, 8], GRAY_ALPHA: [8, 16], RGBA: [8, 16]}
    for kind, name in names.items():
        for depth in depths[kind]:
            samples = random.integers(0, 2**depth, (7, 11, CHANNELS[kind]))
            extra, stored = b"", np.floor(samples * 255 / (2**depth - 1) + 0.5)
            if kind == PALETTE:
                palette = random.integers(0, 256, (2**depth, 3))
                extra, stored = chunk(b"PLTE", palette.astype("u1").tobytes()), palette[samples[:, :, 0]]
            for interlaced in (False, True):
                case = f"png_{name}{depth}" + ("_interlaced" if interlaced else "")
                record(case, png(samples, depth, kind, interlaced, extra), stored=stored)
            if name == "rgb" and depth == 8:
                record("png_luma", png(samples, 8, RGB), gray=Image.fromarray(samples.astype("u1")).convert("L"))
    # A transparent colour, and palette entries with an alpha.
    samples = random.integers(0, 4, (5, 5, 1))
    record("png_transparent_gray", png(samples, 2, GRAY, extra=chunk(b"tRNS", b"\0\2")),
           stored=np.concatenate([samples * 85, np.where(samples == 2, 0, 255)], 2))
    palette, alpha = random.integers(0, 256, (4, 3)), np.array([7, 99, 255, 255])
    extra = chunk(b"PLTE", palette.astype("u1").tobytes()) + chunk(b"tRNS", b"\x07\x63")
    record("png_transparent_palette", png(samples, 2, PALETTE, extra=extra),
           stored=np.concatenate([palette, alpha[:, None]], 1)[samples[:, :, 0]])
    # Gamma and texts change nothing.
    extra = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"zTXt", b"a\0\0" + zlib.compress(b"text"))
    samples = random.integers(0, 256, (3, 4, 3))
    record("png_with_gamma", png(samples, 8, RGB, extra=extra), stored=samples)


def jpeg(image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def jpegs():
    y, x = np.mgrid[0:21, 0:35]
    picture = Image.fromarray(np.stack([x * 7, y * 12, 255 - x * 3 - y * 5], 2).astype("u1"))
    cases = {"gray": picture.convert("L"), "420": picture, "444": picture, "progressive": picture,
             "rgb": picture, "cmyk": picture.convert("CMYK")}
    options = {"420": {"subsampling": 2}, "444": {"subsampling": 0}, "progressive": {"progressive": True},
               "rgb": {"keep_rgb": True}}
    for name, image in cases.items():
        file = jpeg(image, quality=90, **options.get(name, {}))
        decoded = Image.open(io.BytesIO(file))
        if name == "cmyk":
            ink = np.asarray(decoded).astype(int)
            decoded = ((255 - ink[:, :, :3]) * (255 - ink[:, :, 3:]) + 127) // 255
        record(f"jpeg_{name}", file, stored=decoded)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = jpeg(picture.crop((0, 0, 12, 9)), quality=50, exif=exif)
        decoded = Image.open(io.BytesIO(file))
        record(f"jpeg_turned{orientation}", file, stored=decoded, turned=ImageOps.exif_transpose(decoded))
    y, x = np.mgrid[0:72, 0:104]
    file = jpeg(Image.fromarray(np.stack([x * 2, y * 3, 128 + 100 * np.sin(x / 9 + y / 5)], 2).astype("u1")), quality=60)
    scaled = {}
    for part in (1, 2, 4, 8):
        image = Image.open(io.BytesIO(file))
        image.draft("RGB", (104 // part, 72 // part))
        scaled[f"scaled{part}"] = np.asarray(image)
        assert image.size == (104 // part, 72 // part)
    record("jpeg_large", file, **scaled)


pngs()
jpegs()
save_file(tensors, pathlib.Path(__file__).with_suffix(".safetensors"))
