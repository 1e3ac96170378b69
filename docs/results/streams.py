"""Which threshold the guard of a stream gets: f's own last layer on matched h, by numpy, on streams drawn from images that
training held out.

    python streams.py TRAIN.npz CONDITION.npz...

TRAIN.npz is written by `introspect fit --save-features`, each CONDITION.npz (clean and corrupted, the same images in the same order)
by `introspect evaluate --save-features`. Prints, for each kind of stream, the change of accuracy against f in points, mean
over the conditions with a 95 % interval over images, and the worst condition.
"""

import sys

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


def main():
    network = Network(np.load(sys.argv[1]))
    conditions = [np.load(path) for path in sys.argv[2:]]
    labels = conditions[0]["labels"]
    guards = [("none", 0.0)] + [("h", t) for t in (0.9, 0.92, 0.93, 0.94, 0.96)]
    guards += [("z", t) for t in (0.93, 0.95, 0.96, 0.97)] + [("raw", t) for t in (0.7, 0.8, 0.85, 0.9)]
    print("| stream | " + " | ".join(f"{name} {t}" if t else name for name, t in guards) + " |")
    print("|---|" + "---|" * len(guards))
    cases = [(name, order, lambda c, order=order: conditions[c]["h"][order]) for name, order in streams(labels).items()]
    order = np.random.default_rng(2).permutation(len(labels))
    for period in (250, 500, 1000):
        turn = np.arange(len(order)) // period
        by_turn = lambda c, turn=turn: np.stack(
            [conditions[(c + t) % len(conditions)]["h"][i] for i, t in zip(order, turn)])
        cases.append((f"mixed, condition changes every {period}", order, by_turn))
    every = {id(c): dict(c) for c in conditions}
    conditions[:] = every.values()
    for name, order, h in cases:
        found = [network.stream(h(c), labels[order]) for c in range(len(conditions))]
        cells = []
        for kind, threshold in guards:
            late = np.arange(len(order)) + 1 >= (IMAGES if threshold else 0)
            gains = np.array([
                gain * (late & (shares[kind] >= threshold) if threshold else late) for gain, shares in found])
            per_image = 100 * gains.mean(0)
            half = 1.96 * per_image.std() / np.sqrt(len(per_image))
            cells.append(f"{per_image.mean():+.1f} ± {half:.1f} ({100 * gains.mean(1).min():+.1f})")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
