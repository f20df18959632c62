#!/usr/bin/python3
# Makes compatibility-forms.txt.gz from Python's unicodedata: every character whose form NFKD is not its form NFD, with its form NFKC.
# A line has how far the code point is behind that of the line before, in hexadecimal, a space, and the form; or only the number of
# characters that follow one another and become characters that follow one another, behind the one of the line before.
import gzip, os, unicodedata

lines, before, form, follow, count = [], 0, "", 0, 0
for point in range(0x110000):
    character = chr(point)
    if 0xd800 <= point < 0xe000 or unicodedata.normalize("NFKD", character) == unicodedata.normalize("NFD", character):
        continue
    last, form = form, unicodedata.normalize("NFKC", character)
    count += 1
    if point - before == 1 and len(last) == len(form) == 1 and ord(form) - ord(last) == 1:
        follow += 1
    else:
        if follow:
            lines.append(f"{follow:x}")
        follow = 0
        lines.append(f"{point - before:x} {form}")
    before = point
if follow:
    lines.append(f"{follow:x}")
data = "\n".join(lines).encode()
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "compatibility-forms.txt.gz"), "wb") as file:
    file.write(gzip.compress(data, 9, mtime=0))
print(f"{count} characters of Unicode {unicodedata.unidata_version}")
