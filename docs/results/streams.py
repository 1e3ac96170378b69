"""Which threshold the guard of a stream gets: f's own last layer on matched h, by numpy, on streams drawn from images that
training held out.

    python streams.py TRAIN.npz CONDITION.npz...

TRAIN.npz is written by `introspect fit --save-features`, each CONDITION.npz (clean and corrupted, the same images in the same order)
by `introspect evaluate --save-features`. Prints, for each kind of stream, the change of accuracy against f in points, mean
over the conditions with a 95 % interval over images, and the worst condition.

    python streams.py --test TRAIN.npz CONDITION.npz...

The same rule at the threshold chosen, held against f, the same window without a guard, and all that came in (stream-unguarded), for each
condition by itself; for other conditions and other images than those it was chosen on.
"""

import sys
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

WEIGHT, WINDOW, GUARD_WINDOW, IMAGES = 256, 500, 1000, 100


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def sums(x, fade):
    """Running sums in which all that came counts for less by `fade` with each row."""
    return lfilter([1.0], [1.0, -fade], x, axis=0)


class Network:
    def __init__(self, train):
        own = ~train["held_out"].astype(bool)
        h = train["h"][own].astype(np.float64)
        self.w, self.b = train["weight"].astype(np.float64), train["bias"].astype(np.float64)
        self.mean, self.square, self.deviation = h.mean(0), (h * h).mean(0), h.std(0)
        z = self.logits(h)
        self.z = (z.mean(0), (z * z).mean(0), z.std(0))
        self.expected = softmax(z).mean(0)

    def logits(self, h):
        return h @ self.w.T + self.b

    def matched(self, x, start, window, kept):
        """Columns with the training set's mean and deviation, by statistics of the last `window` rows; the training set's own weight
        stays (`kept`) or fades like everything."""
        mean, square, deviation = start
        fade = 1 - 1 / window
        n = np.arange(1, len(x) + 1)[:, None]
        prior = WEIGHT * (np.ones_like(n) if kept else fade ** n)
        weight = prior + sums(np.ones((len(x), 1)), fade)
        m = (prior * mean + sums(x, fade)) / weight
        v = (prior * square + sums(x * x, fade)) / weight - m * m
        return (x - m) / np.sqrt(np.maximum(v, 1e-12)) * deviation + mean

    def share(self, p):
        """Effective share of classes."""
        fade = 1 - 1 / GUARD_WINDOW
        ones = np.ones(len(p))
        weight, squares = sums(ones, fade), sums(ones, fade * fade)
        q = np.maximum(sums(p, fade) / weight[:, None], 1e-12)
        divergence = (q * np.log(q / self.expected)).sum(1)
        return np.exp(np.minimum((q.shape[1] - 1) / 2 / (weight**2 / squares) - divergence, 0))

    def stream(self, h, labels):
        """Gain of each image, and the three shares that a guard may go by."""
        h = h.astype(np.float64)
        z, start = self.logits(h), (self.mean, self.square, self.deviation)
        right = self.logits(self.matched(h, start, WINDOW, False)).argmax(1) == labels
        by_h = self.logits(self.matched(h, start, GUARD_WINDOW, True))
        by_z = self.matched(z, self.z, GUARD_WINDOW, True)
        shares = {name: self.share(softmax(logits)) for name, logits in
                  [("h", by_h), ("z", by_z), ("raw", z)]}
        return right * 1.0 - (z.argmax(1) == labels), shares


def streams(y):
    """Orders of images, by name; the same for every condition."""
    random, classes = np.random.default_rng(1), int(y.max()) + 1
    of = lambda chosen: random.permutation(np.flatnonzero(np.isin(y, chosen)))
    rare = (0.1 ** (np.arange(classes) / (classes - 1)))[y]
    mixed = random.permutation(len(y))
    third = len(y) // 3
    one = lambda c, n: random.choice(np.flatnonzero(y == c), n)
    return {
        "mixed": mixed,
        "classes 1 to 10 in frequency": random.choice(len(y), 3000, p=rare / rare.sum()),
        "seven classes of ten": of(range(7)),
        "five classes of ten": of(range(5)),
        "three classes of ten": of([3, 4, 5]),
        "bursts of 50 of a class": np.concatenate([one(c, 50) for c in random.integers(0, classes, 80)]),
        "mixed, 800 of a class, mixed": np.r_[mixed[:third], one(4, 800), mixed[third : 2 * third]],
        "class after class": np.argsort(y, kind="stable"),
        "one class (cat)": one(3, 2000),
        "one class (frog)": one(6, 2000),
    }


def interval(gain):
    """Mean in points with a 95 % interval over images, paired."""
    return f"{100 * gain.mean():+.2f} ± {196 * gain.std() / np.sqrt(len(gain)):.2f}"


def turning(conditions, order, period, first=0):
    """h in that order, the condition changing every `period` images."""
    turns = (first + np.arange(len(order)) // period) % len(conditions)
    return np.stack([conditions[turn]["h"][image] for turn, image in zip(turns, order)])


def choose(network, conditions):
    labels = conditions[0]["labels"]
    guards = [("raw", 0.0)] + [("h", t) for t in (0.9, 0.92, 0.93, 0.94, 0.96)]
    guards += [("z", t) for t in (0.93, 0.95, 0.96, 0.97)] + [("raw", t) for t in (0.7, 0.8, 0.85, 0.9)]
    print("| stream | " + " | ".join(f"{name} {t}" if t else "none" for name, t in guards) + " |")
    print("|---|" + "---|" * len(guards))
    cases = {name: (order, [c["h"][order] for c in conditions]) for name, order in streams(labels).items()}
    order = np.random.default_rng(2).permutation(len(labels))
    for period in (250, 500, 1000):
        h = [turning(conditions, order, period, first) for first in range(len(conditions))]
        cases[f"mixed, condition changes every {period}"] = (order, h)
    for name, (order, all_h) in cases.items():
        found = [network.stream(h, labels[order]) for h in all_h]
        cells = []
        for kind, threshold in guards:
            late = np.arange(len(order)) + 1 >= (IMAGES if threshold else 0)
            gains = np.array([gain * (late & (shares[kind] >= threshold)) for gain, shares in found])
            per_image = gains.mean(0)
            cells.append(f"{interval(per_image)} ({100 * gains.mean(1).min():+.1f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def test(network, paths, conditions):
    labels = conditions[0]["labels"]
    order = np.random.default_rng(0).permutation(len(labels))
    print("| stream | f | guarded | window without guard | unguarded | training statistics |")
    print("|---|---|---|---|---|---|")

    def show(name, h, y):
        gain, shares = network.stream(h, y)
        h = h.astype(np.float64)
        safe = (shares["h"] >= 0.93) & (np.arange(1, len(y) + 1) >= IMAGES)
        n = np.arange(1, len(h) + 1)[:, None]
        m = (WEIGHT * network.mean + np.cumsum(h, 0)) / (WEIGHT + n)
        v = (WEIGHT * network.square + np.cumsum(h * h, 0)) / (WEIGHT + n) - m * m
        matched = (h - m) / np.sqrt(np.maximum(v, 1e-12)) * network.deviation + network.mean
        right = network.logits(h).argmax(1) == y
        all_in = (network.logits(matched).argmax(1) == y) * 1.0 - right
        cells = [f"{100 * right.mean():.2f}", interval(gain * safe), interval(gain), interval(all_in)]
        print(f"| {name} | " + " | ".join(cells) + f" | {100 * (1 - safe.mean()):.1f} % |", flush=True)

    for kind, chosen in [("mixed", order), ("class after class", np.argsort(labels, kind="stable"))]:
        for path, condition in zip(paths, conditions):
            show(f"{kind}, {path.stem.replace('_', ' ')}", condition["h"][chosen], labels[chosen])
    for period in (250, 500, 1000):
        show(f"mixed, changing every {period}", turning(conditions, order, period), labels[order])


def main():
    paths = [Path(argument) for argument in sys.argv[1:] if argument != "--test"]
    network, conditions = Network(np.load(paths[0])), [dict(np.load(path)) for path in paths[1:]]
    if "--test" in sys.argv:
        test(network, paths[1:], conditions)
    else:
        choose(network, conditions)


if __name__ == "__main__":
    main()
