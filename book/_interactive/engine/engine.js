/* The digit networks of cgnlib/nets/mnist.py, run in the reader's browser without a network.

   `engine(files)` takes what book/_press/networks.py writes: by name, the very safetensors file that
   the book ships, in base64, and the record of its training.
   Images are [3, 32, 32] in -1...1, row by row, in flat arrays; sums are in double precision.
   `Engine.start(files)` puts it in a worker made from this file's own text, so that it works from
   disk as well, and a page never waits for it. */
"use strict";

function engine(files) {
  const SIZE = 32, EPS = 1e-5;

  /* ---- weights ---- */

  /* A number of half precision: 1 bit sign, 5 bits exponent, 10 bits fraction. */
  function half(bits) {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -24 * fraction;
  }

  /* Tensors by name.  The format: length of the header, 8 bytes; the header, JSON; the data. */
  function tensors(base64) {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const start = 8 + Number(view.getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
    const found = {};
    for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
      if (dtype !== "F16") continue; // counters of batches
      const values = Float64Array.from({ length: (to - from) / 2 },
        (_, i) => half(view.getUint16(start + from + 2 * i, true)));
      found[name] = { shape, values };
    }
    return found;
  }

  /* ---- layers; a map is {c, side, x: [c, side, side]} ---- */

  /* weights [o, k] as [o/4, k, 4], so that four outputs are summed in one pass */
  function packed(values, o, k) {
    const w = new Float64Array(Math.ceil(o / 4) * k * 4);
    for (let i = 0; i < o; i++) for (let j = 0; j < k; j++)
      w[((i >> 2) * k + j) * 4 + (i & 3)] = values[i * k + j];
    return w;
  }

  /* Put bias[o] + sum_k w[o, k] * columns[p, k] at o * span + at[p] of x.  columns: [p/2, k, 2], p
     even; x has room for a multiple of four outputs. */
  function multiply(w, bias, k, columns, x, span, at) {
    for (let o = 0; o * span < x.length; o += 4) {
      for (let p = 0; p < at.length; p += 2) {
        let a0 = bias[o], a1 = bias[o + 1], a2 = bias[o + 2], a3 = bias[o + 3];
        let b0 = a0, b1 = a1, b2 = a2, b3 = a3;
        for (let i = o * k, end = i + 4 * k, j = p * k; i < end; i += 4, j += 2) {
          const w0 = w[i], w1 = w[i + 1], w2 = w[i + 2], w3 = w[i + 3], a = columns[j], b = columns[j + 1];
          a0 += w0 * a; a1 += w1 * a; a2 += w2 * a; a3 += w3 * a;
          b0 += w0 * b; b1 += w1 * b; b2 += w2 * b; b3 += w3 * b;
        }
        let here = o * span + at[p], next = o * span + at[p + 1];
        x[here] = a0; x[here += span] = a1; x[here += span] = a2; x[here + span] = a3;
        x[next] = b0; x[next += span] = b1; x[next += span] = b2; x[next + span] = b3;
      }
    }
  }

  /* What a window of `size` sees at each place, [places/2, c*size*size, 2]; 0 beyond the border. */
  function windows({ c, side, x }, size, stride, top, left, across) {
    const k = c * size * size, columns = new Float64Array(across * across * k);
    for (let p = 0; p < across * across; p++) {
      const row = Math.floor(p / across) * stride - top, column = (p % across) * stride - left;
      const first = Math.max(column, 0), last = Math.min(column + size, side);
      for (let channel = 0, at = (p >> 1) * k * 2 + (p & 1); channel < c; channel++)
        for (let i = row; i < row + size; i++, at += 2 * size) {
          if (i < 0 || i >= side) continue;
          const line = (channel * side + i) * side, to = at - 2 * column;
          for (let j = first; j < last; j++) columns[to + 2 * j] = x[line + j];
        }
    }
    return columns;
  }

  const four = (o) => 4 * Math.ceil(o / 4);
  const range = (n, of) => Int32Array.from({ length: n }, (_, i) => of(i));

  function conv(weight, bias, stride = 1) { // weight [o, c, size, size], padded to keep the side
    const [o, c, size] = weight.shape, k = c * size * size, w = packed(weight.values, o, k);
    const shift = new Float64Array(four(o));
    shift.set(bias.values);
    return (map) => {
      const side = map.side / stride, n = side * side, x = new Float64Array(four(o) * n);
      const seen = windows(map, size, stride, size >> 1, size >> 1, side);
      multiply(w, shift, k, seen, x, n, range(n, (p) => p));
      return { c: o, side, x: x.subarray(0, o * n) };
    };
  }

  /* Nearest upsampling by two, then a 3x3 convolution: each of the four pixels that come from one
     sees a 2x2 window of the small map, through a kernel in which equal neighbours are summed. */
  function up(weight) { // weight [o, c, 3, 3]
    const [o, c] = weight.shape, none = new Float64Array(four(o));
    const joined = [[[0], [1, 2]], [[0, 1], [2]]]; // rows of the kernel, by the pixel's place
    const kernels = [0, 1, 2, 3].map((phase) => {
      const small = new Float64Array(o * c * 4);
      for (let i = 0; i < small.length; i++)
        for (const row of joined[phase >> 1][(i >> 1) & 1])
          for (const column of joined[phase & 1][i & 1])
            small[i] += weight.values[(i >> 2) * 9 + row * 3 + column];
      return packed(small, o, c * 4);
    });
    return (map) => {
      const { side } = map, wide = 2 * side, x = new Float64Array(four(o) * wide * wide);
      kernels.forEach((w, phase) => {
        const a = phase >> 1, b = phase & 1, seen = windows(map, 2, 1, 1 - a, 1 - b, side);
        const at = range(side * side, (p) => (2 * Math.floor(p / side) + a) * wide + 2 * (p % side) + b);
        multiply(w, none, c * 4, seen, x, wide * wide, at);
      });
      return { c: o, side: wide, x: x.subarray(0, o * wide * wide) };
    };
  }

  function linear(weight, bias, c, side) { // weight [c*side*side, k]; from a vector to a map
    const [o, k] = weight.shape;
    return (u) => ({ c, side, x: Float64Array.from({ length: o }, (_, i) =>
      u.reduce((sum, value, j) => sum + value * weight.values[i * k + j], bias.values[i])) });
  }

  /* Each channel times a scale plus a shift: what batch norm is once training is over. */
  function norm(net, name) {
    const [weight, bias, mean, variance] = ["weight", "bias", "running_mean", "running_var"]
      .map((part) => net[`${name}.${part}`].values);
    const scale = weight.map((w, i) => w / Math.sqrt(variance[i] + EPS));
    return each((value, channel) => (value - mean[channel]) * scale[channel] + bias[channel]);
  }

  function each(change) { // value and channel to value
    return ({ c, side, x }) => {
      const y = new Float64Array(x.length), n = side * side;
      for (let channel = 0, i = 0; channel < c; channel++)
        for (const end = i + n; i < end; i++) y[i] = change(x[i], channel);
      return { c, side, x: y };
    };
  }

  function instanceNorm({ c, side, x }) {
    const y = new Float64Array(x.length), n = side * side;
    for (let channel = 0; channel < c; channel++) {
      const part = x.subarray(channel * n, (channel + 1) * n);
      const mean = part.reduce((sum, value) => sum + value, 0) / n;
      const variance = part.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n;
      part.forEach((value, i) => { y[channel * n + i] = (value - mean) / Math.sqrt(variance + EPS); });
    }
    return { c, side, x: y };
  }

  function maxPool({ c, side, x }) { // windows of 3 at stride 2, padded by 1
    const small = side / 2, y = new Float64Array(c * small * small).fill(-Infinity);
    for (let at = 0; at < y.length; at++) {
      const channel = Math.floor(at / (small * small)), row = 2 * (Math.floor(at / small) % small);
      for (let i = Math.max(row - 1, 0); i < row + 2; i++) {
        const line = (channel * side + i) * side, column = 2 * (at % small);
        for (let j = line + Math.max(column - 1, 0); j < line + column + 2; j++)
          if (x[j] > y[at]) y[at] = x[j];
      }
    }
    return { c, side: small, x: y };
  }

  const relu = each((value) => Math.max(value, 0));
  const leaky = each((value) => (value < 0 ? 0.2 * value : value));
  const chain = (...layers) => (x) => layers.reduce((map, layer) => layer(map), x);

  /* ---- the networks ---- */

  /* The classifier.  Image to {p: [10], heat: [8, 8]}: probabilities, and Grad-CAM of the answer at
     the last convolution, as cgnlib/measures/heat.py has it. */
  function cnn(net) {
    const of = (i, stride) => conv(net[`model.${i}.weight`], net[`model.${i}.bias`], stride);
    const body = chain(norm(net, "model.0"), of(1), maxPool, relu, of(4), relu, of(6, 2), relu, of(8), relu);
    const weight = net["cls.0.weight"].values, bias = net["cls.0.bias"].values; // [10, 64], [10]
    return (image) => {
      const { c, side, x } = body({ c: 3, side: SIZE, x: image }); // [64, 8, 8]
      const mean = new Float64Array(c), active = new Float64Array(c);
      for (let i = 0; i < x.length; i++) { // the pool of 7x7 leaves out the last row and column
        const channel = i >> 6, seen = (i & 7) < 7 && ((i >> 3) & 7) < 7;
        if (seen && x[i] > 0) { mean[channel] += x[i] / 49; active[channel] += 1 / 49; }
      }
      const logit = Float64Array.from(bias, (b, y) =>
        mean.reduce((sum, value, i) => sum + value * weight[y * c + i], b));
      const high = Math.max(...logit), exp = logit.map((value) => Math.exp(value - high));
      const p = exp.map((value) => value / exp.reduce((a, b) => a + b));
      const answer = p.indexOf(Math.max(...p)), heat = new Float64Array(side * side);
      for (let i = 0; i < c; i++) { // the mean gradient of log p[answer], times the activation
        let slope = weight[answer * c + i];
        p.forEach((share, y) => { slope -= share * weight[y * c + i]; });
        slope *= active[i] / (side * side);
        for (let at = 0; at < heat.length; at++) heat[at] += slope * x[i * side * side + at];
      }
      return { p, heat: heat.map((value) => Math.max(value, 0)) };
    };
  }

  /* The generator.  (mechanism, class, latent [32]) to the mask [32, 32] in 0...1, or a texture or
     background [3, 32, 32] before it is shifted. */
  function cgn(net) {
    const embedding = net["label_emb.weight"].values; // [10, 10]
    const layers = (name) => {
      const of = (i) => net[`${name}.${i}.weight`], wide = of(0).shape[0] / 64;
      const start = linear(of(0), net[`${name}.0.bias`], wide, 8);
      return name === "f_shape"
        ? chain(start, instanceNorm, up(of(4)), norm(net, `${name}.5`), leaky, instanceNorm,
            up(of(9)), norm(net, `${name}.10`), leaky, instanceNorm,
            each((value) => Math.min(Math.max(value, 1e-4), 0.9999)))
        : chain(start, up(of(3)), norm(net, `${name}.4`), leaky, up(of(7)), norm(net, `${name}.8`),
            leaky, conv(of(10), net[`${name}.10.bias`]), norm(net, `${name}.11`), each(Math.tanh));
    };
    const mechanisms = {
      shape: layers("f_shape"), texture: layers("f_text1"), background: layers("f_text2"),
    };
    return (mechanism, y, u) =>
      mechanisms[mechanism]([...u, ...embedding.subarray(10 * y, 10 * y + 10)]).x;
  }

  /* ---- what may be asked ---- */

  const opened = {};
  const net = (name, kind) => (opened[name] ??= kind(tensors(files[name].safetensors)));
  return {
    classify: (name, image) => net(name, cnn)(image),
    part: (name, mechanism, y, u) => net(name, cgn)(mechanism, y, u),
  };
}

const Engine = {
  /* A worker that answers `ask(what, ...)`, a name of what `engine` returns and its arguments, with
     {found, ms}. */
  start(files) {
    const loop = `const nets = (${engine})(FILES);
      onmessage = ({ data: [id, what, given] }) => {
        const start = performance.now(), found = nets[what](...given);
        postMessage([id, found, performance.now() - start]);
      };`.replace("FILES", JSON.stringify(files));
    const url = URL.createObjectURL(new Blob([loop], { type: "text/javascript" }));
    const worker = new Worker(url), waiting = new Map();
    let asked = 0;
    worker.onmessage = ({ data: [id, found, ms] }) => {
      waiting.get(id)({ found, ms });
      waiting.delete(id);
    };
    return {
      ask: (what, ...given) => new Promise((done) => {
        waiting.set(++asked, done);
        worker.postMessage([asked, what, given]);
      }),
    };
  },
};
