# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two pictures of bars: how long a boot takes, and a day's work as multiples of a plain disk's."""

import html
import statistics

# Pixels; all of it is 600 wide, so that a page shows it as it is.
LEFT, WIDTH, RIGHT, ROW, BAR = 275, 270, 55, 20, 14

# By variant; what is neither ours nor replaced by it is grey.
COLORS = {
    "ext4-20g": "#2f6fab",
    "integrity-20g": "#8fb4d9",
    "reference-20g": "#d9534f",
    "crypttab-20g": "#e8a33d",
}
GREY = "#b8b8b8"

# Whose boots are drawn; the table has all.
BOOTS = ("without", "ram", *COLORS)


def text(x, y, words, anchor="start", style=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {style}>{html.escape(words)}</text>'


def draw(title, groups, lines):
    """groups: (heading, bars), with bars of (label, value, figure, color); lines: (value, label) of the axis. Widths are to
    the largest value."""
    bars = [bar for _, group in groups for bar in group]
    scale = WIDTH / max([value for _, value, *_ in bars] + [value for value, _ in lines])
    rows = len(bars) + sum(1 for heading, _ in groups if heading)
    height = ROW * (rows + 3) + ROW // 2 * len(groups)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="600" viewBox="0 0 {LEFT + WIDTH + RIGHT} {height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        text(8, 18, title, style='font-size="14"'),
    ]
    for value, label in lines:
        x = LEFT + value * scale
        parts.append(f'<path d="M{x:.1f} {ROW + 4}V{height - ROW}" stroke="#ddd"/>')
        parts.append(text(x, height - 8, label, "middle"))
    y = ROW + 8
    for heading, group in groups:
        if heading:
            parts.append(text(8, y + 11, heading, style='font-weight="bold"'))
            y += ROW
        for label, value, figure, color in group:
            parts.append(text(LEFT - 6, y + 11, label, "end"))
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR}" fill="{color}"/>')
            parts.append(text(LEFT + value * scale + 4, y + 11, figure))
            y += ROW
        y += ROW // 2
    return "\n".join(parts + ["</svg>"]) + "\n"


def draw_boots(variants):
    """variants: {name: its boots}. Until switch-root, as that is what the disk delays."""
    rows = []
    for name in BOOTS:
        if boots := variants.get(name):
            seconds = statistics.median(boot["switch_root"] for boot in boots) / 1e6
            rows.append((boots[0]["title"], seconds, f"{seconds:.2f} s", COLORS.get(name, GREY)))
    last = max((seconds for _, seconds, *_ in rows), default=1)
    return draw("From the kernel's start to switch-root, guest time", [("", rows)], [(s, f"{s} s") for s in range(0, int(last) + 1, 1 + int(last) // 7)])


def draw_work(results, i, title):
    """results: what work.load() returned; i: which of its figures."""
    plain, *others = results
    groups = []
    for job, figures in plain["figures"].items():
        base, group = statistics.median(figures[i]), []
        for result in others:
            if result["name"] in COLORS:
                ratio = statistics.median(result["figures"][job][i]) / base
                group.append((result["title"], ratio, f"{ratio:.2f}", COLORS[result["name"]]))
        groups.append((job, group))
    return draw(title, groups, [(1, "1"), (1.25, "1.25")])
