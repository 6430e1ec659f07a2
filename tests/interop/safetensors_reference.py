"""Prints the file that the reference implementation (pip install safetensors==0.5.3) writes for the tensors of
safetensors_test.cpp: the header, then the elements in hexadecimal."""
import struct
from safetensors import serialize

tensors = {
    "b.weight": ("float32", [2, 3], struct.pack("<6f", 1, 2, 3, -4, 0.5, 6)),
    "a.flag": ("bool", [3], bytes([1, 0, 1])),
    "half": ("float16", [2], struct.pack("<2e", 1, -2)),
    "brain": ("bfloat16", [1], bytes([0x80, 0x3F])),
    "step": ("int64", [], struct.pack("<q", -7)),
    "idx": ("int32", [2], struct.pack("<2i", 3, -3)),
    "bytes": ("uint8", [4], bytes([0, 1, 254, 255])),
    "dbl": ("float64", [1, 1], struct.pack("<d", 0.1)),
    "none": ("float32", [0, 5], b""),
    'quote"\\ü\n\x01': ("float32", [1], struct.pack("<f", 9)),
}
data = serialize({name: {"dtype": d, "shape": s, "data": b} for name, (d, s, b) in tensors.items()}, {"format": "pt"})
length = struct.unpack("<Q", data[:8])[0]
print(data[8 : 8 + length])
print(data[8 + length :].hex())
