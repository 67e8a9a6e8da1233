"""Writes the pictures of tests/fixtures/images and what Pillow reads in them.

    make_image_fixtures.py tests/fixtures/images        # Pillow 11: later ones resize in another order

NAME.png or NAME.jpg is a picture; NAME.rgb its pixels, 3 bytes each, as convert("RGB") and exif_transpose give them
(16-bit samples by the formula of rt_image.h instead). Files under bad/ must be refused. resize_WxH.rgb and
nearest_WxH.rgb are rgb8.png at another size. All pictures are WIDTH x HEIGHT (before EXIF turns them), and sample c of
pixel (x, y) of a PNG of a given depth is sample(x, y, c, depth), which the C tests know too.
"""
import io
import os
import struct
import sys
import warnings
import zlib

from PIL import Image, ImageOps

WIDTH, HEIGHT = 13, 9
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
SIZES = ((7, 5), (26, 9), (5, 20), (1, 1), (40, 3), (13, 4), (6, 9), (13, 9), (31, 23), (2, 2))


def sample(x, y, c, depth):
    return (x * 5003 + y * 977 + c * 31013 + x * y * 211) >> 3 & ((1 << depth) - 1)


def color(i):
    return (i * 37 & 255, i * 101 + 60 & 255, 255 - i * 13 & 255)


def chunk(kind, data, crc_flip=0):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) ^ crc_flip)


def scanlines(depth, kind, columns, rows, limit):
    lines = b""
    for y in rows:
        values = [sample(x, y, c, depth) % limit for x in columns for c in range(SAMPLES[kind])]
        bits = "".join(format(v, f"0{depth}b") for v in values)
        bits += "0" * (-len(bits) % 8)
        lines += b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")
    return lines


def png(depth, kind, interlaced=False, colors=0, before=b"", after_palette=b"", limit=1 << 16, size=None, idat=None):
    """A PNG file in full; colors: palette entries, limit: samples stay below it."""
    width, height = size or (WIDTH, HEIGHT)
    raw = b""
    if interlaced:
        for x0, y0, dx, dy in ADAM7:
            columns, rows = range(x0, WIDTH, dx), range(y0, HEIGHT, dy)
            if len(columns):
                raw += scanlines(depth, kind, columns, rows, limit)
    else:
        raw = scanlines(depth, kind, range(WIDTH), range(HEIGHT), limit)
    parts = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlaced))) + before
    if colors:
        parts += chunk(b"PLTE", bytes(v for i in range(colors) for v in color(i)))
    parts += after_palette + (chunk(b"IDAT", zlib.compress(raw, 9)) if idat is None else idat(raw))
    return b"\x89PNG\r\n\x1a\n" + parts + chunk(b"IEND", b"")


def rows_16_to_8(kind):
    """Expected pixels of 16-bit pictures."""
    out = bytearray()
    for y in range(HEIGHT):
        for x in range(WIDTH):
            for c in range(3):
                v = sample(x, y, c if kind in (RGB, RGBA) else 0, 16)
                out.append((v * 255 + 32895) >> 16)
    return bytes(out)


def apng():
    """Two frames; the first is the default image."""
    frame = struct.pack(">IIIIIHHBB", 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    second = struct.pack(">IIIIIHHBB", 1, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    black = zlib.compress((b"\0" * (WIDTH * 3 + 1)) * HEIGHT)
    return png(8, RGB, before=chunk(b"acTL", struct.pack(">II", 2, 0)) + chunk(b"fcTL", frame),
               idat=lambda raw: chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"fcTL", second) +
               chunk(b"fdAT", struct.pack(">I", 2) + black))


def good_pngs():
    for depth in (1, 2, 4, 8, 16):
        yield f"grey{depth}", png(depth, GREY)
        yield f"grey{depth}_interlaced", png(depth, GREY, True)
    for depth in (1, 2, 4, 8):
        yield f"palette{depth}", png(depth, PALETTE, colors=1 << depth)
    yield "palette4_interlaced", png(4, PALETTE, True, colors=16)
    yield "palette8_trns", png(8, PALETTE, colors=20, limit=20, after_palette=chunk(b"tRNS", bytes(range(0, 200, 10))))
    yield "palette8_short", png(8, PALETTE, colors=20, limit=24)
    for depth in (8, 16):
        for name, kind in (("grey_alpha", GREY_ALPHA), ("rgb", RGB), ("rgba", RGBA)):
            yield f"{name}{depth}", png(depth, kind)
            yield f"{name}{depth}_interlaced", png(depth, kind, True)
    yield "grey8_trns", png(8, GREY, after_palette=chunk(b"tRNS", struct.pack(">H", sample(0, 0, 0, 8))))
    yield "rgb8_trns", png(8, RGB, after_palette=chunk(b"tRNS", struct.pack(">HHH", 0, 0, 0)))
    yield "rgb8_gamma", png(8, RGB, before=chunk(b"gAMA", struct.pack(">I", 100000)))
    yield "rgb8_odd_chunk", png(8, RGB, before=chunk(b"teSt", b"never heard of"))
    yield "rgb8_split", png(8, RGB, idat=lambda raw: b"".join(
        chunk(b"IDAT", part) for part in (lambda z: (z[:1], b"", z[1:40], z[40:]))(zlib.compress(raw))))
    yield "rgb8_trailing", png(8, RGB) + b"bytes after the end"
    yield "rgb8_apng", apng()


def bad_pngs():
    rgb = png(8, RGB)
    yield "png_crc", png(8, RGB, idat=lambda raw: chunk(b"IDAT", zlib.compress(raw), 1))
    yield "png_header_crc", rgb[:29] + bytes([rgb[29] ^ 1]) + rgb[30:]
    yield "png_adler", png(8, RGB, idat=lambda raw: chunk(b"IDAT", zlib.compress(raw)[:-1] + b"\0"))
    yield "png_short_data", png(8, RGB, idat=lambda raw: chunk(b"IDAT", zlib.compress(raw[:-50])))
    yield "png_no_data", png(8, RGB, idat=lambda raw: b"")
    yield "png_no_palette", png(8, PALETTE)
    yield "png_filter", png(8, RGB, idat=lambda raw: chunk(b"IDAT", zlib.compress(b"\x09" + raw[1:])))
    yield "png_zero_wide", png(8, RGB, size=(0, 9))
    yield "png_too_wide", png(8, RGB, size=(65536, 1))
    yield "png_too_many", png(8, RGB, size=(65535, 65535))
    yield "png_depth", png(3, GREY)
    yield "png_critical_chunk", png(8, RGB, before=chunk(b"TeSt", b"must be understood"))


def jpeg(mode="RGB", patch=None, **options):
    picture = Image.open(io.BytesIO(png(8, RGB))).convert("RGB").resize((4, 3)).resize((WIDTH, HEIGHT)).convert(mode)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=85, optimize=True, **options)
    return patch(out.getvalue()) if patch else out.getvalue()


def exif(orientation, order):
    """A TIFF header and one directory with another tag before the orientation."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(order + "HHIHH", 0x0100, 3, 1, WIDTH, 0) + struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + head + struct.pack(order + "IH", 8, 2) + entries + struct.pack(order + "I", 0)


def good_jpegs():
    yield "jpeg_444", jpeg(subsampling=0)
    yield "jpeg_422", jpeg(subsampling=1)
    yield "jpeg_420", jpeg(subsampling=2)
    yield "jpeg_grey", jpeg("L")
    yield "jpeg_progressive", jpeg(progressive=True)
    yield "jpeg_restart", jpeg(restart_marker_blocks=1)
    yield "jpeg_cmyk", jpeg("CMYK")
    # The transform byte of the Adobe marker makes the same samples YCCK.
    yield "jpeg_ycck", jpeg("CMYK", lambda data: data.replace(b"Adobe\0d\0\0\0\0\0", b"Adobe\0d\0\0\0\0\2"))
    yield "jpeg_rgb", jpeg(keep_rgb=True)
    yield "jpeg_trailing", jpeg() + b"bytes after the end"
    yield "jpeg_header_stray", jpeg(patch=lambda data: data.replace(b"\xff\xdb", b"stray\xff\xdb", 1))
    for orientation in range(1, 9):
        yield f"jpeg_exif{orientation}", jpeg(exif=exif(orientation, "<" if orientation % 2 else ">"))
    yield "jpeg_exif9", jpeg(exif=exif(9, "<"))
    yield "jpeg_exif_cut", jpeg(exif=exif(6, "<")[:20])


def bad_jpegs():
    base = jpeg()
    frame = base.index(b"\xff\xc0")
    yield "jpeg_12bit", base[:frame + 4] + b"\x0c" + base[frame + 5:]
    yield "jpeg_lossless", base[:frame + 1] + b"\xc3" + base[frame + 2:]
    yield "jpeg_zero_high", base[:frame + 5] + b"\0\0" + base[frame + 7:]
    yield "jpeg_too_many", base[:frame + 5] + b"\xff\xdc\xff\xdc" + base[frame + 9:]
    yield "jpeg_end_early", base[:-20] + b"\xff\xd9"
    yield "jpeg_stray_in_scan", base[:-2] + b"stray" * 8 + base[-2:]
    yield "jpeg_no_tables", base[:2] + base[frame:]


def expected(name, data):
    if "16" in name:
        return rows_16_to_8({"grey": GREY, "grey_alpha": GREY_ALPHA, "rgb": RGB, "rgba": RGBA}[name.split("16")[0]])
    picture = Image.open(io.BytesIO(data))
    picture.load()
    if picture.format == "JPEG":
        picture = ImageOps.exif_transpose(picture)
    return picture.convert("RGB").tobytes()


def write(path, data):
    with open(path, "wb") as file:
        file.write(data)


def main(folder):
    os.makedirs(f"{folder}/bad", exist_ok=True)
    for ending, good, bad in (("png", good_pngs(), bad_pngs()), ("jpg", good_jpegs(), bad_jpegs())):
        for name, data in good:
            write(f"{folder}/{name}.{ending}", data)
            write(f"{folder}/{name}.rgb", expected(name, data))
        for name, data in bad:
            write(f"{folder}/bad/{name}.{ending}", data)
    write(f"{folder}/bad/other.png", b"GIF89a\x01\0\x01\0\0\0\0;")
    write(f"{folder}/bad/empty.png", b"")
    picture = Image.open(f"{folder}/rgb8.png")
    for width, height in SIZES:
        write(f"{folder}/resize_{width}x{height}.rgb", picture.resize((width, height), Image.BILINEAR).tobytes())
        write(f"{folder}/nearest_{width}x{height}.rgb", picture.resize((width, height), Image.NEAREST).tobytes())


warnings.simplefilter("ignore")
main(sys.argv[1])
