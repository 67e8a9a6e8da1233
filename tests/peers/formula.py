"""Parameters and pictures from a formula that C computes bit for bit; README.md states it."""
import numpy as np

MASK32 = 0xFFFFFFFF


def fnv1a(name):
    """FNV-1a, 32 bits, of the name's bytes."""
    h = 0x811C9DC5
    for byte in name.encode():
        h = ((h ^ byte) * 0x01000193) & MASK32
    return h


def uniform(name, count, first=0):
    """u(name, j) for j = first .. first + count - 1: float64, exact multiples of 2^-23 in [-1, 1)."""
    with np.errstate(over="ignore"):
        z = np.arange(first, first + count, dtype=np.uint64) + np.uint64(fnv1a(name) << 32)
        z += np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) / 8388608.0 - 1.0


def parameter(name, shape):
    """The float32 values of a parameter, from its name and shape alone."""
    shape = tuple(shape)
    u = uniform(name, int(np.prod(shape, dtype=np.int64)))
    if len(shape) > 1:
        fan_in = int(np.prod(shape[1:], dtype=np.int64))
        v = u * np.sqrt(4.5 / fan_in)
    elif name.endswith("running_var"):
        v = 1.0 + 0.5 * np.abs(u)
    elif name.endswith("act.weight"):
        v = 0.25 + 0.125 * u
    elif name.endswith("weight"):
        v = 1.0 + 0.125 * u
    else:
        v = 0.125 * u
    return v.astype(np.float32).reshape(shape)


def image(channels, height, width, batch=1):
    """The picture: float32, NCHW."""
    u = uniform("image", batch * channels * height * width)
    return u.astype(np.float32).reshape(batch, channels, height, width)
