/* Strokes: lists of points [x, y] in 0...1, as a pen leaves them on the pad.  One whose first point
   has a third number takes away instead. */
"use strict";

const Pen = (function () {
  const RADIUS = 1.85; // of the pen, in pixels of MNIST: its masks then cover as much as real ones
  const BOX = 20, SIDE = 28, SIZE = 32; // MNIST's digits fill 20 of 28 pixels; W-MNIST has 32
  const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"; // 64 steps

  /* The ten digits in a hand of ours, hundredths of the pad; the pen goes smoothly from point to
     point. */
  const HAND = [
    [[52, 14, 33, 22, 25, 50, 33, 78, 50, 86, 67, 78, 75, 50, 67, 22, 50, 14]],
    [[56, 14, 51, 50, 45, 86]],
    [[29, 30, 40, 16, 58, 15, 69, 28, 62, 48, 45, 66, 28, 84, 50, 82, 74, 84]],
    [[30, 21, 50, 14, 67, 23, 64, 39, 46, 47, 66, 54, 71, 70, 54, 86, 29, 79]],
    [[36, 16, 30, 50, 50, 54, 71, 50], [66, 16, 62, 50, 58, 86]],
    [[69, 15, 38, 16, 34, 45, 54, 41, 71, 54, 67, 77, 48, 86, 29, 80]],
    [[61, 14, 41, 33, 32, 60, 38, 82, 55, 86, 67, 72, 59, 58, 42, 60, 34, 70]],
    [[28, 20, 50, 18, 72, 19, 58, 48, 46, 86]],
    [[66, 26, 50, 14, 35, 27, 46, 44, 64, 60, 66, 78, 50, 86, 35, 77, 39, 60, 57, 43, 67, 27]],
    [[67, 30, 52, 15, 35, 26, 37, 46, 53, 51, 67, 33, 66, 58, 60, 86]],
  ];

  /* A smooth line through the points (Catmull and Rom's), six steps from one to the next. */
  function smooth(points) {
    const at = (i) => points[Math.min(Math.max(i, 0), points.length - 1)];
    const line = [points[0]];
    for (let i = 0; i + 1 < points.length; i++)
      for (let step = 1; step <= 6; step++) {
        const t = step / 6, [a, b, c, d] = [-1, 0, 1, 2].map((n) => at(i + n));
        line.push([0, 1].map((k) => 0.5 * (2 * b[k] + (c[k] - a[k]) * t
          + (2 * a[k] - 5 * b[k] + 4 * c[k] - d[k]) * t * t
          + (3 * b[k] - a[k] - 3 * c[k] + d[k]) * t ** 3)));
      }
    return line;
  }

  /* A digit as strokes.  rng: numbers in 0...1; they slant and stretch it, and move its points. */
  function written(digit, rng) {
    const around = (size) => size * (2 * rng() - 1);
    const slant = around(0.2), wide = 1 + around(0.15), tremble = 0.015;
    return HAND[digit].map((flat) => {
      const points = [];
      for (let i = 0; i < flat.length; i += 2) {
        const x = flat[i] / 100 - 0.5 + around(tremble), y = flat[i + 1] / 100 - 0.5 + around(tremble);
        points.push([0.5 + wide * x - slant * y, 0.5 + y]);
      }
      return smooth(points);
    });
  }

  /* Every piece of line, [x, y, x, y]; a dot is one of no length. */
  const pieces = (strokes) => strokes.flatMap((points) => points.map(([x, y], i) =>
    [x, y, ...points[Math.min(i + 1, points.length - 1)].slice(0, 2)])
    .slice(0, Math.max(points.length - 1, 1)));

  /* Is a place nearer to a piece of line, given by its start and direction, than the radius? */
  function near(px, py, [a, b, c, d], radius) {
    const along = ((px - a) * c + (py - b) * d) / (c * c + d * d || 1);
    const t = Math.min(Math.max(along, 0), 1);
    return (px - a - t * c) ** 2 + (py - b - t * d) ** 2 < radius ** 2;
  }

  /* The mask [32, 32] of 0 and 1 as MNIST and W-MNIST would have it: the longer side of the digit
     fills the box, its centre of mass lies in the middle, and 28 pixels become 32 by the study's
     rule.  Without strokes it is empty. */
  function mask(strokes) {
    const found = new Uint8Array(SIZE * SIZE), lines = pieces(strokes);
    if (!lines.length) return found;
    const xs = lines.flatMap(([a, , c]) => [a, c]), ys = lines.flatMap(([, b, , d]) => [b, d]);
    const span = Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys), 0.05);
    const scale = (BOX - 2 * RADIUS) / span;
    let mass = 0, x = 0, y = 0;
    for (const [a, b, c, d] of lines) {
      const length = Math.hypot(c - a, d - b) + 1e-6;
      mass += length; x += length * (a + c) / 2; y += length * (b + d) / 2;
    }
    const seen = lines.map(([a, b, c, d]) => [
      (a - x / mass) * scale, (b - y / mass) * scale, (c - a) * scale, (d - b) * scale,
    ]);
    const digit = new Uint8Array(SIDE * SIDE);
    for (let i = 0; i < digit.length; i++) {
      const px = (i % SIDE) + 0.5 - SIDE / 2, py = Math.floor(i / SIDE) + 0.5 - SIDE / 2;
      digit[i] = seen.some((line) => near(px, py, line, RADIUS));
    }
    const source = (i) => Math.floor((i * SIDE) / SIZE);
    return found.map((_, i) => digit[source(Math.floor(i / SIZE)) * SIDE + source(i % SIZE)]);
  }

  /* A mask [32, 32] with strokes laid over it where they were drawn, the last uppermost. */
  function over(mask, strokes) {
    const found = Float64Array.from(mask);
    for (const points of strokes) {
      const lines = pieces([points]).map(([a, b, c, d]) => [a, b, c - a, d - b]);
      for (let i = 0; i < found.length; i++) {
        const x = ((i % SIZE) + 0.5) / SIZE, y = (Math.floor(i / SIZE) + 0.5) / SIZE;
        if (lines.some((line) => near(x, y, line, RADIUS / SIDE))) found[i] = points[0][2] ? 0 : 1;
      }
    }
    return found;
  }

  /* Strokes as letters for the address: two a point, steps of 1/63; `~` before a stroke, `!` before
     one that takes away. */
  const letter = (value) => LETTERS[Math.round(Math.min(Math.max(value, 0), 1) * 63)];
  const write = (strokes) => strokes.map((points) =>
    (points[0][2] ? "!" : "~") + points.map(([x, y]) => letter(x) + letter(y)).join("")).join("");
  const read = (text) => text.match(/[~!][\w-]+/g).map((line) => {
    const points = line.slice(1).match(/../g)
      .map((pair) => [...pair].map((l) => LETTERS.indexOf(l) / 63));
    if (line[0] === "!") points[0].push(1);
    return points;
  });

  return { written, mask, over, write, read, width: (2 * RADIUS) / SIDE };
})();
