#!/usr/bin/python3
# Makes compatibility-forms.txt.gz from Python's unicodedata: every character whose form NFKD is not its form NFD, with its form NFKC.
# A line has how far the code point is behind that of the line before, in hexadecimal, a space, and the form.
import gzip, os, unicodedata

lines, before = [], 0
for point in range(0x110000):
    character = chr(point)
    if 0xd800 <= point < 0xe000 or unicodedata.normalize("NFKD", character) == unicodedata.normalize("NFD", character):
        continue
    lines.append(f"{point - before:x} {unicodedata.normalize('NFKC', character)}")
    before = point
data = "\n".join(lines).encode()
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "compatibility-forms.txt.gz"), "wb") as file:
    file.write(gzip.compress(data, 9, mtime=0))
print(f"{len(lines)} characters of Unicode {unicodedata.unidata_version}")
