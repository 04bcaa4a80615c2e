"""What a hostile name would have to become in a study's files to do harm."""

import csv
import re
from xml.dom import minidom


def formulas_in(path):
    """Cells of a CSV file that a spreadsheet would run; negative numbers are none."""
    with path.open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    runs = [cell for cell in cells if re.match(r"[=+@\t\r-]", cell)]
    return [cell for cell in runs if not re.fullmatch(r"-(inf|[\d.]+(e[-+]?\d+)?)", cell)]


def intruders_in(path):
    """Scripts and foreign images of an SVG file, which has to be sound XML."""
    page = minidom.parse(str(path))
    return [*page.getElementsByTagName("script"), *page.getElementsByTagName("img")]
