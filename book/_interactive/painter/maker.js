/* What the CGN makes of classes and noise, and how images are put together and shown. */
"use strict";

const Maker = (function () {
  const NET = "cgn-wildlife", SIZE = 32, PIXELS = SIZE * SIZE, TURNS = 64;
  const MECHANISMS = { digit: "shape", texture: "texture", background: "background" };

  /* Numbers in 0...1 by a seed (the generator is called mulberry32). */
  function chance(seed) {
    let a = seed >>> 0;
    return () => {
      a = (a + 0x6d2b79f5) | 0;
      let t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  const normals = (rng) => Array.from({ length: 32 }, () =>
    Math.sqrt(-2 * Math.log(1 - rng())) * Math.cos(2 * Math.PI * rng()));

  /* Noise of the CGN, [32], on a circle through two draws: normal wherever it stands. */
  function noise(first, second, turn) {
    const angle = (2 * Math.PI * turn) / TURNS;
    return first.map((value, i) => Math.cos(angle) * value + Math.sin(angle) * second[i]);
  }

  /* Rows down and columns to the right, round and round, as the CGN's own shuffler does. */
  function shifted(x, down, right) {
    return x.map((_, i) => {
      const row = (Math.floor(i / SIZE) + down) % SIZE, column = (i + right) % SIZE;
      return x[i - (i % PIXELS) + row * SIZE + column];
    });
  }

  /* Asks the engine once for each part.  part(cue, label, seed, turn): the mask [32, 32], or the
     texture or background [3, 32, 32], shifted by chance. */
  function parts(engine) {
    const made = new Map();

    async function make(cue, label, seed, turn) {
      const rng = chance(1000 * seed + 10 * Object.keys(MECHANISMS).indexOf(cue) + label);
      const first = normals(rng), shift = [rng(), rng()].map((share) => Math.floor(share * SIZE));
      const u = noise(first, normals(rng), turn);
      const { found } = await engine.ask("part", NET, MECHANISMS[cue], label, u);
      return cue === "digit" ? found : shifted(found, ...shift);
    }

    return (...wanted) => {
      const key = wanted.join();
      if (!made.has(key)) made.set(key, make(...wanted));
      return made.get(key);
    };
  }

  const byte = (value) => Math.round((value + 1) * 127.5);

  /* m*f + (1-m)*b, rounded to bytes as images are stored; back in -1...1. */
  const compose = (mask, texture, background) => background.map((value, i) => {
    const m = mask[i % PIXELS];
    return byte(m * texture[i] + (1 - m) * value) / 127.5 - 1;
  });

  const pictures = new WeakMap();

  /* The picture of values in -1...1, [3, 32, 32], or of a mask, [32, 32] in 0...1, as a canvas. */
  function picture(x) {
    if (pictures.has(x)) return pictures.get(x);
    const canvas = document.createElement("canvas"), image = new ImageData(SIZE, SIZE);
    const value = x.length === PIXELS ? (_, i) => 2 * x[i] - 1 : (channel, i) => x[channel * PIXELS + i];
    for (let i = 0; i < 4 * PIXELS; i++)
      image.data[i] = i % 4 === 3 ? 255 : byte(value(i % 4, i >> 2));
    canvas.width = canvas.height = SIZE;
    canvas.getContext("2d").putImageData(image, 0, 0);
    pictures.set(x, canvas);
    return canvas;
  }

  return { chance, parts, compose, picture, TURNS };
})();
