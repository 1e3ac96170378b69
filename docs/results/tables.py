"""Prints the tables of recognition.md from a study's study.json.

    python tables.py study.json [GROUP ...]                           # all methods, corrupted and clean, or the groups named
    python tables.py study.json --rows f,f+temperature,reflection     # only these, in this order
    python tables.py study.json --by --rows f,reflection@folds        # by family and severity

A cell is a value with its 95 % basic bootstrap interval; bold where the interval of a difference excludes 0.
"""

import argparse
import json

FAMILIES = ["noise", "blur", "weather", "digital"]


def cell(estimate, scale=1.0, digits=4, sign=False, bold=False):
    if estimate is None:
        return ""
    number = f"{{:{'+' if sign else ''}.{digits}f}}".format
    value, low, high = (number(scale * estimate[key]) for key in ("value", "low", "high"))
    text = f"{value} ({low}, {high})"
    return f"**{text}**" if bold and not estimate["low"] <= 0 <= estimate["high"] else text


def percent(estimate, **kind):
    return cell(estimate, 100.0, 2, **kind)


def table(heads, rows):
    print("| " + " | ".join(heads) + " |")
    print("|" + "---|" * len(heads))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print()


def of_group(study, group, wanted):
    """Each method's metrics under a group's conditions."""
    found = {row["method"]: row for row in study["rows"] if row["group"] == group}
    return [found[name] for name in wanted or found if name in found]


def metrics(study, group, wanted):
    rows = []
    for row in of_group(study, group, wanted):
        figures, relative = row["metrics"], row.get("relative_ece")
        mce = row.get("mean_corruption_error")
        rows.append([
            f"`{row['method']}`",
            percent(figures["accuracy"]),
            percent((row.get("minus_f") or {}).get("accuracy"), sign=True, bold=True),
            percent(figures["ece"]),
            cell(relative, 100.0, 1, sign=True, bold=True) if relative else "",
            cell(figures["nll"], digits=3),
            cell(mce, 100.0, 1) if mce else "",
        ])
    heads = ["method", "accuracy, %", "minus f", "ECE, %", "ECE relative to f, %", "NLL", "mCE, %"]
    if not any(row[-1] for row in rows):
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    table(heads, rows)


def pairs(study, group, wanted):
    rows = []
    for pair in study["contrasts"]:
        if pair["group"] != group or (wanted and not {pair["method"], pair["minus"]} <= set(wanted)):
            continue
        points = [percent(pair["difference"][m], sign=True, bold=True) for m in ("accuracy", "ece")]
        nll = cell(pair["difference"]["nll"], digits=3, sign=True, bold=True)
        rows.append([f"`{pair['method']}` minus `{pair['minus']}`", *points, nll])
    if rows:
        table(["pair", "accuracy, points", "ECE, points", "NLL"], rows)


def by_group(study, wanted):
    """Of f accuracy and ECE in %, of others accuracy minus f in points and the relative change of ECE."""
    severities = sorted({row["group"] for row in study["rows"] if row["group"].startswith("severity-")})
    groups = FAMILIES + severities
    rows = []
    for name in wanted:
        cells = [f"`{name}`"]
        for group in groups:
            (row,) = of_group(study, group, [name])
            if name == "f":
                accuracy, ece = (100 * row["metrics"][m]["value"] for m in ("accuracy", "ece"))
                cells.append(f"{accuracy:.2f}, {ece:.2f}")
            else:
                gain = percent(row["minus_f"]["accuracy"], sign=True, bold=True)
                cells.append(f"{gain}; {100 * row['relative_ece']['value']:+.0f} %")
        rows.append(cells)
    table(["method", *groups], rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("study")
    parser.add_argument("groups", nargs="*", default=["corrupted", "clean"])
    parser.add_argument("--rows", default="", help="methods, separated by commas")
    parser.add_argument("--by", action="store_true", help="by family and severity")
    given = parser.parse_args()
    study = json.load(open(given.study))
    wanted = [name for name in given.rows.split(",") if name]
    if given.by:
        by_group(study, wanted)
        return
    for group in given.groups:
        print(f"{group}, {study['n']} images:\n")
        metrics(study, group, wanted)
        pairs(study, group, wanted)


main()
