"""Prints the tables of recognition.md from a study's study.json.

    python tables.py study.json [GROUP ...]      # corrupted and clean, or the groups named

A cell is a value with its 95 % basic bootstrap interval; bold where the interval of a difference excludes 0.
"""

import json
import sys


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


def main():
    study = json.load(open(sys.argv[1]))
    for group in sys.argv[2:] or ["corrupted", "clean"]:
        print(f"{group}, {study['n']} images:\n")
        rows = []
        for row in study["rows"]:
            if row["group"] != group:
                continue
            metrics, minus = row["metrics"], row.get("minus_f") or {}
            relative = row.get("relative_ece")
            rows.append([
                f"`{row['method']}`",
                percent(metrics["accuracy"]),
                percent(minus.get("accuracy"), sign=True, bold=True),
                percent(metrics["ece"]),
                cell(relative, 100.0, 1, sign=True, bold=True) if relative else "",
                cell(metrics["nll"], digits=3),
                cell(row.get("mean_corruption_error"), 100.0, 1) if row.get("mean_corruption_error") else "",
            ])
        table(["method", "accuracy, %", "minus f", "ECE, %", "ECE relative to f, %", "NLL", "mCE, %"], rows)
        pairs = [pair for pair in study["contrasts"] if pair["group"] == group]
        rows = [[f"`{p['method']}` minus `{p['minus']}`"]
                + [percent(p["difference"][m], sign=True, bold=True) for m in ("accuracy", "ece")]
                + [cell(p["difference"]["nll"], digits=3, sign=True, bold=True)] for p in pairs]
        if rows:
            table(["pair", "accuracy", "ECE", "NLL"], rows)


if __name__ == "__main__":
    main()
