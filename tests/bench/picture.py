# SPDX-License-Identifier: LGPL-2.1-or-later
"""The boots as bars on one axis of guest time."""

import html
import statistics

LEFT, WIDTH, ROW, BAR = 300, 640, 26, 16

PHASES = (
    ("kernel", "#b8b8b8"),
    ("initrd", "#8fb4d9"),
    ("disk", "#d9534f"),
    ("initrd, after the disk", "#5b8fbf"),
    ("after switch-root", "#9cc79c"),
)


def phases(boots):
    """The µs at which each phase of the boot ends."""

    def at(key):
        return statistics.median(boot[key] for boot in boots)

    if "work" in boots[0]:
        begin, end = (statistics.median(boot["work"][i] for boot in boots) for i in (0, 1))
    else:
        begin = end = at("initrd_fs")
    return [at("initrd"), begin, end, at("switch_root"), at("up")]


def text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{html.escape(words)}</text>'


def draw(variants):
    rows = [(boots[0]["title"], phases(boots)) for boots in variants.values()]
    last = max(ends[-1] for _, ends in rows) if rows else 1
    height = ROW * (len(rows) + 3)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 60} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for i, (name, color) in enumerate(PHASES):
        x = LEFT + i * 135
        parts.append(f'<rect x="{x}" y="8" width="12" height="12" fill="{color}"/>' + text(x + 16, 18, name))
    for second in range(int(last / 1e6) + 1):
        x = LEFT + second * 1e6 / last * WIDTH
        parts.append(f'<path d="M{x:.1f} {ROW + 4}V{height - ROW}" stroke="#ddd"/>')
        parts.append(text(x, height - 8, f"{second} s", "middle"))
    for i, (title, ends) in enumerate(rows):
        y, begin = ROW * (i + 1) + 8, 0
        parts.append(text(LEFT - 8, y + 12, title, "end"))
        for (_, color), end in zip(PHASES, ends):
            x, width = LEFT + begin / last * WIDTH, (end - begin) / last * WIDTH
            parts.append(f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{color}"/>')
            begin = end
        parts.append(text(LEFT + ends[3] / last * WIDTH - 3, y + 12, f"{ends[3] / 1e6:.2f}", "end"))
    return "\n".join(parts + ["</svg>"]) + "\n"
