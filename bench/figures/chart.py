"""Speed against quality at equal bytes, as SVG."""

WIDTH, HEIGHT, MARGIN = 720, 420, 60
COLOURS = {"pixmill": "#b5451b", "sharp": "#2c5f8a"}


def write(path, lines):
    """`lines`: by (set, side), points of (bytes, score, Mpx/s) by rising quality.

    pixmill's points are moved along its own line to sharp's bytes, so that a point and its
    counterpart are files of the same size.
    """
    drawn = {}
    for (picture_set, side), points in lines.items():
        wanted = [point[0] for point in lines[picture_set, "sharp"]]
        moved = [at_bytes(points, size) for size in wanted] if side == "pixmill" else [point[1:] for point in points]
        drawn[picture_set, side] = [point for point in moved if point]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(svg(drawn))


def at_bytes(points, size):
    """Score and speed where a line has that many bytes; none beyond its ends."""
    for (size0, *low), (size1, *high) in zip(points, points[1:]):
        if size0 <= size <= size1 and size1 > size0:
            share = (size - size0) / (size1 - size0)
            return tuple(a + (b - a) * share for a, b in zip(low, high, strict=True))
    return None


def svg(drawn):
    """The picture: score to the right, speed upwards."""
    scores = [score for points in drawn.values() for score, _ in points]
    least, most = 5 * (min(scores) // 5), 5 * (max(scores) // 5 + 1)
    fastest = 100 * (max(speed for points in drawn.values() for _, speed in points) // 100 + 1)

    def place(score, speed):
        return MARGIN + (score - least) / (most - least) * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - speed / fastest * (HEIGHT - 2 * MARGIN)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 15}" text-anchor="middle">SSIMULACRA2, at equal bytes</text>',
        f'<text x="15" y="{MARGIN - 20}">megapixels a second of one core</text>',
    ]
    for score in range(int(least), int(most) + 1, 5):
        x, y = place(score, 0)
        out.append(f'<path d="M{x:.1f} {y:.1f}V{MARGIN}" stroke="#ddd"/><text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{score}</text>')
    for speed in range(0, int(fastest) + 1, 100):
        x, y = place(least, speed)
        out.append(f'<path d="M{x:.1f} {y:.1f}H{WIDTH - MARGIN}" stroke="#ddd"/><text x="{x - 6:.1f}" y="{y + 4:.1f}" text-anchor="end">{speed}</text>')
    first = next(iter(drawn), (None,))[0]
    for (picture_set, side), points in drawn.items():
        if not points:
            continue
        dots = [place(*point) for point in points]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in dots)
        # Lines of one side may run close together: one is named at its start, the others at their end.
        (x, y), anchor = (dots[0], "start") if picture_set == first else (dots[-1], "end")
        out.append(f'<path d="M{path}" fill="none" stroke="{COLOURS[side]}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{COLOURS[side]}"/>' for x, y in dots]
        out.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="{anchor}" fill="{COLOURS[side]}">{side}, {picture_set}</text>')
    return "\n".join([*out, "</svg>", ""])
